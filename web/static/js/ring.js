// Alerts when a card begins to ring: two soft tones, and a notification if no tab of ours is active, each if the person has
// enabled it and in one tab only. The notification closes when the ringing stops.
import { allowed, audible, notify, quiet, tones } from "./alerts.js";
import { attended, inOneTab } from "./tabs.js";

const body = document.body.dataset;
const cards = document.getElementById("dock-cards");
const rings = new Map(); // id of a ringing card -> function to call when it stops ringing
// After a change of page while it rings, the alert is not repeated.
const told = new Set(JSON.parse(sessionStorage.pbxcrmRings ?? "[]"));
setTimeout(() => told.clear(), 5000);

async function show(card, over) {
  if (await attended()) return;
  const text = card.querySelector(".state").textContent.replace(/\s+/g, " ").trim();
  const note = notify(card.querySelector("[data-dock-title]").textContent.trim(), text, card.id);
  over.then(() => note?.close());
}

function begin(card) {
  if (card.querySelector("[data-dialled]")) return; // an outgoing call needs no alert
  const over = new Promise((stop) => rings.set(card.id, stop));
  if (told.delete(card.id)) return;
  if (body.sound === "on" && audible()) inOneTab(`sound-${card.id}`, over, tones);
  if (body.notify === "on" && !quiet(body.quiet) && allowed() === "granted") inOneTab(`note-${card.id}`, over, () => show(card, over));
}

function look() {
  for (const [id, stop] of rings) {
    if (document.getElementById(id)?.matches(".ringing")) continue;
    stop();
    rings.delete(id); // a queue may ring the same phone again
  }
  for (const card of cards.querySelectorAll(".callcard.ringing")) if (!rings.has(card.id)) begin(card);
}

if (cards) {
  new MutationObserver(look).observe(cards, { childList: true, subtree: true, attributeFilter: ["class"] });
  addEventListener("pagehide", () => {
    sessionStorage.pbxcrmRings = JSON.stringify([...rings.keys(), ...told]);
    for (const stop of rings.values()) stop(); // afterwards nothing could close the notification
  });
  look();
}
