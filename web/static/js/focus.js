// Keeps the place of the focus: when an action removes the pressed button, the focus goes to the same button of the next row, else
// to the row that took its place, else to what is left around it, else to the page. A dialog in between does not count. Whoever has
// gone elsewhere stays there. A worklist that an act was confirmed for has its own way (worklist.js).
const ROWS = "tr, li, .callcard";
const STOPS = "a[href], button:not([disabled]), summary, input:not([type=hidden]), textarea, select";
let at = null; // the place of the focus

const wordOf = (element) => element.textContent.trim();
const rowsOf = (list) => [...list.querySelectorAll(ROWS)].filter((row) => row.querySelector(STOPS));

// The ids of the parts around an element, the smallest first.
function around(element) {
  const found = [];
  for (let part = element.parentElement?.closest("[id]"); part; part = part.parentElement?.closest("[id]")) found.push(part.id);
  return found;
}

document.addEventListener("focusin", ({ target }) => {
  if (target.closest("dialog")) { if (at) at.asked = true; return; }
  if (target.closest("#queue") || target.matches("[data-row], [data-asked-first], #page")) { at = null; return; }
  const row = target.closest(ROWS);
  const list = row?.parentElement.closest("[id]");
  at = list ? { element: target, word: wordOf(target), list: list.id, place: rowsOf(list).indexOf(row), work: target.closest("[data-worklist]") }
    : { element: target, around: around(target) };
});
document.addEventListener("pointerdown", ({ target }) => { if (!target.closest("dialog")) at = null; });

// In a dialog that has just closed, too, an element has the focus for a moment.
const nowhere = () => document.activeElement === document.body || !document.activeElement?.checkVisibility();

function find() {
  if (!at || at.element.isConnected || (at.asked && at.work) || !nowhere() || document.querySelector("dialog[open]")) return;
  if (at.around) {
    const left = at.around.map((id) => document.getElementById(id)).flatMap((part) => (part ? [...part.querySelectorAll(STOPS)] : []));
    (left.find((stop) => stop.tabIndex >= 0 && stop.checkVisibility()) ?? document.getElementById("page"))?.focus();
    return;
  }
  const list = document.getElementById(at.list);
  const rows = list ? rowsOf(list) : [];
  const same = rows.slice(at.place).flatMap((row) => [...row.querySelectorAll(STOPS)]).find((stop) => wordOf(stop) === at.word && stop.checkVisibility());
  (same ?? rows[Math.min(at.place, rows.length - 1)]?.querySelector(STOPS) ?? document.getElementById("page"))?.focus();
}

document.addEventListener("htmx:after:swap", find);
document.addEventListener("live:push", find);

// An act by keys that loads the page anew: the focus returns to the part in which the act was, or that its form names.
const RETURN = "pbxcrm.return";
const STAYS = 20_000; // ms within which the page must be back
let byKeys = false;
document.addEventListener("keydown", () => { byKeys = true; }, true);
document.addEventListener("pointerdown", () => { byKeys = false; }, true);
document.addEventListener("submit", ({ target, submitter }) => {
  if (!byKeys || target.method === "get" || target.closest("dialog")) return;
  const parts = target.dataset.returnsTo ? [target.dataset.returnsTo] : around(submitter ?? target);
  sessionStorage.setItem(RETURN, JSON.stringify({ path: location.pathname, parts, until: Date.now() + STAYS }));
}, true);

function comeBack() {
  const left = JSON.parse(sessionStorage.getItem(RETURN) ?? "null");
  sessionStorage.removeItem(RETURN);
  if (!left || left.path !== location.pathname || left.until < Date.now() || !nowhere() || document.querySelector("dialog[open]")) return;
  const part = left.parts.map((id) => document.getElementById(id)).find(Boolean);
  const stops = [...(part?.querySelectorAll(`[aria-current][tabindex], ${STOPS}`) ?? [])].filter((stop) => stop.checkVisibility());
  (stops.find((stop) => stop.matches("[aria-current]")) ?? stops.find((stop) => stop.tabIndex >= 0))?.focus();
}
comeBack();

// The key that moves the focus to the call cards from anywhere.
document.querySelector("[data-to-dock]")?.addEventListener("click", () => {
  const dock = document.getElementById("dock");
  if (dock.matches(".folded")) dock.querySelector(".dock-fold").click();
  const side = dock.querySelector('.dock-side[aria-expanded="false"]');
  if (side?.checkVisibility()) side.click();
  const stops = [...dock.querySelectorAll(`#dock-cards :is(${STOPS}):not([tabindex="-1"])`)];
  stops.find((stop) => stop.checkVisibility())?.focus();
});
