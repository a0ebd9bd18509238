// <textarea data-save-to="/…">: saved while it is typed: half a second after the last key, when the field loses the focus, and
// when the page closes. One request at a time per field, so that the last text wins. A failed save is shown as unsaved and
// tried again, even if its field disappears meanwhile.
import { say } from "./toasts.js";

const PAUSE = 500;
const RETRY = 4000;
const PATIENCE = 10000; // ms after which a save counts as failed
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
  if (!note || note.flight) return; // text that is typed during a save is sent after it
  clearTimeout(note.timer);
  const text = note.sent = note.text;
  const flight = note.flight = new AbortController();
  const impatient = setTimeout(() => flight.abort(), PATIENCE);
  let saved = false;
  let refused = false; // refused: not tried again until the text changes
  try {
    // keepalive lets the request finish after the page has closed.
    const response = await fetch(address, { method: "POST", body: new URLSearchParams({ text }), keepalive: true, signal: flight.signal });
    saved = response.ok && !response.redirected;
    refused = [403, 404, 413, 422].includes(response.status);
  } catch { /* no network, or a time-out */ }
  clearTimeout(impatient);
  if (note.flight !== flight) return; // a later save was sent when the page closed
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
