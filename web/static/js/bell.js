// The bell: a request came for this person. A toast that stays until it is dealt with, two soft tones, and a notification if no tab of
// ours is active; sound and notification each if the person has enabled it, and in one tab only. The task stays when all tabs were closed.
import { allowed, audible, notify, quiet, tones } from "./alerts.js";
import { attended, inOneTab } from "./tabs.js";
import { say } from "./toasts.js";

const body = document.body.dataset;
const language = document.documentElement.lang;
const over = Promise.resolve();

async function ring(id) {
  const response = await fetch(`/requests/${id}/bell`, { headers: { Accept: "application/json", "Page-Language": language } });
  if (!response.ok) return; // it went to somebody else meanwhile
  const said = await response.json();
  const toast = say(`${said.title} · ${said.text}`, "stays");
  const link = Object.assign(document.createElement("a"), { className: "btn small", href: said.href, textContent: said.open });
  toast.querySelector(".text").after(link);
  if (body.sound === "on" && audible()) inOneTab(`bell-sound-${id}`, over, tones);
  if (body.notify === "on" && !quiet(body.quiet) && allowed() === "granted") {
    inOneTab(`bell-note-${id}`, over, async () => {
      if (await attended()) return;
      const note = notify(said.title, said.text, `request-${id}`);
      note?.addEventListener("click", () => location.assign(said.href));
    });
  }
}

if (body.user) {
  document.addEventListener("live:hint", ({ detail }) => {
    if (detail.topic === "bell") ring(detail.ref).catch(() => {}); // no connection: the task says it
  });
}
