// What became of a call asked for by a click, said once: the bar's phone carries it when it went wrong.
import { say } from "./toasts.js";

const said = new Set();

function look() {
  const phone = document.querySelector("[data-phone-says]");
  if (!phone || said.has(phone.dataset.phoneSays)) return;
  said.add(phone.dataset.phoneSays);
  say(phone.dataset.phoneText, "red");
}

document.addEventListener("htmx:after:swap", look);
