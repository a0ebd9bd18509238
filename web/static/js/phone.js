// Shows once why a click-to-call failed: the phone in the bar holds the text.
import { say } from "./toasts.js";

const said = new Set();

function look() {
  const phone = document.querySelector("[data-phone-says]");
  if (!phone || said.has(phone.dataset.phoneSays)) return;
  said.add(phone.dataset.phoneSays);
  say(phone.dataset.phoneText, "red");
}

document.addEventListener("htmx:after:swap", look);
