// A card that begins to ring: a notification where the person allowed it, and two soft tones where they want to hear it, each in
// one tab. The name goes out as text, never as markup.
import { audible, tones } from "./alerts.js";
import { inOneTab } from "./tabs.js";

const body = document.body.dataset;
const cards = document.getElementById("dock-cards");
const rings = new Map(); // id of a card that rings -> what to call when it rings no longer
// Who goes on to another page while it rings has been told already.
const told = new Set(JSON.parse(sessionStorage.pbxcrmRings ?? "[]"));
setTimeout(() => told.clear(), 5000);

function notify(card) {
  if (document.visibilityState === "visible" || !("Notification" in window) || Notification.permission !== "granted") return;
  const title = card.querySelector("[data-dock-title]").textContent.trim();
  const note = new Notification(title, { body: card.querySelector(".state").textContent.replace(/\s+/g, " ").trim(), tag: card.id });
  note.onclick = () => { window.focus(); note.close(); };
}

function begin(card) {
  const over = new Promise((stop) => rings.set(card.id, stop));
  if (told.delete(card.id)) return;
  if (body.sound === "on" && audible()) inOneTab(`sound-${card.id}`, over, tones);
  inOneTab(`note-${card.id}`, over, () => notify(card));
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
  addEventListener("pagehide", () => { sessionStorage.pbxcrmRings = JSON.stringify([...rings.keys(), ...told]); });
  look();
}
