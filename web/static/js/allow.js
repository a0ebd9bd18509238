// [data-alerts] on the profile: the permission for notifications, a button to request it, and one to test sound and notification.
import { allowed, notify, tones } from "./alerts.js";

const box = document.querySelector("[data-alerts]");
const ask = box.querySelector("[data-allow]");

function say(state = allowed()) {
  for (const line of box.querySelectorAll("[data-when]")) line.hidden = line.dataset.when !== state;
  ask.hidden = state !== "default";
}

async function request() {
  if (allowed() === "default") await Notification.requestPermission();
  say();
}

ask.addEventListener("click", request);
box.querySelector("[data-try]").addEventListener("click", async ({ currentTarget }) => {
  if (window.AudioContext) tones();
  await request();
  const { title, text } = currentTarget.dataset;
  if (allowed() === "granted" && !notify(title, text, "try")) say("none");
});
// The permission may also change in the settings of the browser.
navigator.permissions?.query({ name: "notifications" }).then((status) => { status.onchange = () => say(); }, () => {});
say();
box.hidden = false;
