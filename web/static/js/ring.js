// A card that begins to ring: two soft tones, and a notification while nobody is at a tab of ours, each where the person wants it
// and in one tab. The notification goes away with the ringing.
import { allowed, audible, notify, quiet, tones } from "./alerts.js";
import { attended, inOneTab } from "./tabs.js";

const body = document.body.dataset;
const cards = document.getElementById("dock-cards");
const rings = new Map(); // id of a card that rings -> what to call when it rings no longer
// Who goes on to another page while it rings has been told already.
const told = new Set(JSON.parse(sessionStorage.pbxcrmRings ?? "[]"));
setTimeout(() => told.clear(), 5000);

async function show(card, over) {
  if (await attended()) return;
  const text = card.querySelector(".state").textContent.replace(/\s+/g, " ").trim();
  const note = notify(card.querySelector("[data-dock-title]").textContent.trim(), text, card.id);
  over.then(() => note?.close());
}

function begin(card) {
  if (card.querySelector("[data-dialled]")) return; // who calls somebody need not be told of it
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
    for (const stop of rings.values()) stop(); // nobody would be left to take the notification away
  });
  look();
}
