// <textarea data-save-to="/…">: kept as one types. Saved half a second after the last key, when one leaves the field, and
// when the page goes away. One save at a time for a field, so that the last text wins; what could not be saved is said to be
// unsaved and is tried again, whatever becomes of its field meanwhile.
import { say } from "./toasts.js";

const PAUSE = 500;
const RETRY = 4000;
const PATIENCE = 10000; // ms until a save is taken for lost
const unsaved = new Map(); // address -> { text, timer, sent, flight, failed }: the save under way and its text, whether the last one failed
let toast = null;

function mark(address, state, text) {
  for (const field of document.querySelectorAll(`[data-save-to="${CSS.escape(address)}"]`)) if (field.value === text) field.dataset.state = state;
  const failed = [...unsaved.values()].some((note) => note.failed);
  if (failed) toast ??= say(document.body.dataset.sayUnsaved, "red");
  else if (toast) { toast.remove(); toast = null; }
}

async function save(address) {
  const note = unsaved.get(address);
  if (!note || note.flight) return; // whatever is typed while a save is under way goes after it
  clearTimeout(note.timer);
  const text = note.sent = note.text;
  const flight = note.flight = new AbortController();
  const impatient = setTimeout(() => flight.abort(), PATIENCE);
  let saved = false;
  let refused = false; // for good: it is not tried again before more is typed
  try {
    // With keepalive it is not broken off when the page goes away.
    const response = await fetch(address, { method: "POST", body: new URLSearchParams({ text }), keepalive: true, signal: flight.signal });
    saved = response.ok && !response.redirected;
    refused = [403, 404, 413, 422].includes(response.status);
  } catch { /* no network, or no patience left */ }
  clearTimeout(impatient);
  if (note.flight !== flight) return; // a later one was sent as the page went away
  note.flight = null;
  note.failed = !saved;
  if (refused) clearTimeout(note.timer);
  else if (!saved) note.timer = setTimeout(() => save(address), RETRY);
  else if (note.text === text) unsaved.delete(address);
  else save(address);
  mark(address, saved ? "saved" : "failed", text);
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-save-to]")) return;
  const address = target.dataset.saveTo;
  const note = unsaved.get(address) ?? {};
  unsaved.set(address, note);
  note.text = target.value;
  target.dataset.state = "typing";
  clearTimeout(note.timer);
  note.timer = setTimeout(() => save(address), PAUSE);
});
document.addEventListener("focusout", ({ target }) => {
  if (target.matches?.("[data-save-to]") && target.dataset.state === "typing") save(target.dataset.saveTo);
});
addEventListener("pagehide", () => {
  for (const [address, note] of unsaved) {
    if (note.flight && note.sent === note.text) continue;
    note.flight?.abort();
    note.flight = null;
    save(address);
  }
});
