// A list of work by keyboard (callback queue, escalations, tasks of the day; it has data-worklist): one row is current (class "now"); arrows or j and k change it, and the keys of the legend
// press the buttons of that row. The first row is current when the page opens, so the first down arrow goes to the second. After a result the next row becomes current and gets the focus, as itself: Space must not press
// one of its buttons. A live update does not change the current row.
// On the last row the down arrow presses "Show more".
import "./ask.js";
import { say } from "./toasts.js";

let chosen = "";
let place = 0;
let beyond = ""; // the last row when more were requested

const list = () => document.querySelector("[data-worklist]");
const rows = () => [...(list()?.querySelectorAll("[data-row]") ?? [])];

function take(row, { scroll = false } = {}) {
  for (const old of list()?.querySelectorAll("tr.now") ?? []) if (old !== row) { old.classList.remove("now"); old.removeAttribute("aria-current"); }
  if (!row) return;
  row.classList.add("now");
  row.setAttribute("aria-current", "true");
  row.setAttribute("aria-label", row.cells[0].innerText.trim().replace(/\s+/g, " ")); // a row of a table has no name from its cells
  row.tabIndex = -1; // each time: a swap takes it away, and then the focus, but not before the page is drawn again
  chosen = row.id;
  place = rows().indexOf(row);
  if (scroll) row.scrollIntoView({ block: "nearest" });
}

function retake(event) {
  // Only the answer to the result moves to the next row; a live refresh may come between key and answer.
  const { sourceElement, response } = event?.detail?.ctx ?? {};
  const told = /\/(result|done|dismiss|reassign|accept|merge|attach|refuse)$/.test(sourceElement?.getAttribute?.("hx-post") ?? "") && response?.status < 400;
  const found = rows();
  const same = told ? null : found.find((row) => row.id === chosen);
  const last = beyond === chosen ? found.indexOf(same) : -1;
  if (last >= 0 && last + 1 < found.length) { beyond = ""; return take(found[last + 1], { scroll: true }); }
  const row = same ?? found[Math.min(place, found.length - 1)];
  take(row);
  const said = /\/comment$/.test(sourceElement?.getAttribute?.("hx-post") ?? ""); // its row stays, the button in its closed menu does not
  if (told || said || held) afterDialog(() => stand(list()?.querySelector("tr.now")));
}

// The focus on a row, if an act has left it nowhere: what somebody has gone to since keeps it.
let held = false;
const nowhere = () => [document.body, document.getElementById("page"), null].includes(document.activeElement)
  || !document.activeElement.checkVisibility(); // in a dialog that has just closed

function stand(row) {
  if (!nowhere()) return;
  held = Boolean(row);
  if (!row) return document.getElementById("page")?.focus();
  row.focus({ preventScroll: true });
}

// The dialog of the act closes before or after its answer is on the page, and gives the focus back to a button that may be gone.
function afterDialog(then) {
  const open = document.querySelector("dialog[open]");
  if (open) open.addEventListener("close", then, { once: true });
  else then();
}

document.addEventListener("focusin", ({ target }) => { held = target.matches("[data-worklist] [data-row]"); });
document.addEventListener("pointerdown", () => { held = false; });

function act(name) {
  const row = list()?.querySelector("tr.now");
  const button = row?.querySelector(`[data-do="${name}"]`);
  if (row && !button) say(list().dataset.sayCannot);
  // The key of an act asks first for what belongs to it (the result of a task): Enter goes on, also without a word; Escape goes back.
  const field = button?.closest("form")?.querySelector("[data-asked-first]");
  if (field && name === "done" && checkVisible(field)) return field.focus();
  button?.click();
}

const checkVisible = (element) => (element.checkVisibility ? element.checkVisibility() : element.offsetParent !== null);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && event.target.matches?.("[data-worklist] [data-asked-first]")) event.target.blur();
});

document.addEventListener("click", (event) => {
  const hint = event.target.closest("[data-act]");
  if (hint) return act(hint.dataset.act);
  const row = event.target.closest("[data-worklist] [data-row]");
  if (!row) return;
  take(row);
  const item = event.target.closest("details.menu .item");
  if (item) item.closest("details").open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const step = { ArrowDown: 1, ArrowUp: -1, KeyJ: 1, KeyK: -1 }[event.code];
  if (!step || document.querySelector("dialog[open], details.menu[open]")) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const found = rows();
  if (!found.length) return;
  event.preventDefault();
  const now = found.findIndex((row) => row.id === chosen);
  const more = list()?.querySelector("[data-more]");
  if (step > 0 && now === found.length - 1 && more) { beyond = chosen; return more.click(); }
  beyond = "";
  const row = found[Math.max(0, Math.min(found.length - 1, now + step))];
  take(row, { scroll: true });
  row.focus({ preventScroll: true }); // a screen reader reads the row; Space acts on it, not on one of its buttons
});

// In the dialog of an act a digit presses the button of that number.
document.addEventListener("keydown", (event) => {
  const button = /^[1-9]$/.test(event.key) && document.querySelector(`dialog[open] [data-digit="${event.key}"]`);
  if (!button || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input, textarea, select")) return;
  event.preventDefault();
  button.click();
});

document.addEventListener("htmx:after:swap", retake);
retake();
