// Cards of the board, or rows of the list, that are chosen for an act on many: by Ctrl and click, Shift and click, or the keys X, Shift with up and down, Ctrl A; Esc
// chooses none. A card that is loaded again stays chosen; the act is sent with the versions that the person saw.
const board = document.getElementById("board") ?? document.getElementById("deal-rows");
const DEAL = ".card, tr[data-deal]";
const bar = document.getElementById("chosen-bar");
const chosen = new Set(); // ids of deals
let anchor = null; // the card from which Shift chooses
let all = false; // all open deals that match, also those not loaded

const cardOf = (element) => element?.closest?.(DEAL);
const cards = (card) => [...card.closest(".col, tbody").querySelectorAll(DEAL)];

function show() {
  for (const card of board.querySelectorAll(DEAL)) mark(card);
  const count = all ? Number(bar.querySelector("[data-all]")?.dataset.all ?? 0) : chosen.size;
  bar.querySelector("[data-number]").textContent = String(count);
  bar.hidden = count === 0;
  document.body.classList.toggle("choosing", count > 0);
}

function mark(card) {
  const on = all ? !["won", "lost"].includes(card.closest(".col")?.dataset.kind) : chosen.has(card.dataset.deal);
  const box = card.querySelector("[data-choose]");
  if (box) box.checked = on;
  if (card.classList.contains("chosen") === on) return;
  card.classList.toggle("chosen", on);
  const link = card.querySelector("[data-card]");
  if (on) link.setAttribute("aria-description", board.dataset.sayChosen);
  else link.removeAttribute("aria-description");
}

function set(card, on) {
  all = false;
  if (on) chosen.add(card.dataset.deal);
  else chosen.delete(card.dataset.deal);
  anchor = card.dataset.deal;
}

function upTo(card) {
  const column = cards(card);
  const from = column.findIndex((each) => each.dataset.deal === anchor);
  const to = column.indexOf(card);
  if (from < 0) return set(card, true);
  for (const each of column.slice(Math.min(from, to), Math.max(from, to) + 1)) chosen.add(each.dataset.deal);
  all = false;
}

export function none() {
  chosen.clear();
  all = false;
  anchor = null;
  if (bar) show();
}

// Returns whether the click was to choose.
export function clicked(event, card) {
  if (!bar || !(event.ctrlKey || event.metaKey || event.shiftKey)) return false;
  if (event.shiftKey) upTo(card);
  else set(card, !chosen.has(card.dataset.deal));
  getSelection()?.removeAllRanges();
  show();
  return true;
}

function keyed(event) {
  const card = cardOf(event.target);
  if (!card) return false;
  if ((event.ctrlKey || event.metaKey) && event.code === "KeyA") {
    for (const each of cards(card)) chosen.add(each.dataset.deal);
    all = false;
  } else if (event.ctrlKey || event.metaKey || event.altKey) return false;
  else if (event.code === "KeyX" && !event.shiftKey) set(card, !chosen.has(card.dataset.deal));
  else if (event.shiftKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    const column = cards(card);
    const next = column[column.indexOf(card) + (event.key === "ArrowUp" ? -1 : 1)];
    if (!next) return true;
    chosen.add(card.dataset.deal);
    set(next, true);
    next.querySelector("[data-card]").focus();
    next.scrollIntoView({ block: "nearest" });
  } else return false;
  show();
  return true;
}

// A row is ticked; with Shift all from the last one up to it.
export function ticked(box, shift) {
  const row = cardOf(box);
  if (shift && anchor) upTo(row);
  else set(row, box.checked);
  show();
}

export function choose(some, on) {
  all = false;
  for (const card of some) if (on) chosen.add(card.dataset.deal); else chosen.delete(card.dataset.deal);
  show();
}

if (bar && board) {
  board.addEventListener("keydown", (event) => {
    if (!keyed(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (bar.hidden || document.querySelector("dialog[open]") || event.target.matches?.("input, textarea, select")) return;
    if (event.key === "Escape") { none(); event.preventDefault(); }
    if (event.code === "KeyB" && !event.ctrlKey && !event.metaKey && !event.altKey) { bar.querySelector("[data-open]").focus(); event.preventDefault(); }
  });
  bar.querySelector("[data-none]").addEventListener("click", none);
  bar.querySelector("[data-all]")?.addEventListener("click", () => { all = true; show(); });
  new MutationObserver((changes) => {
    for (const { addedNodes, target, type } of changes) {
      if (type === "attributes" && target.matches("tr[data-deal]")) mark(target); // a row was drawn again in its place
      for (const node of addedNodes) if (node.matches?.(DEAL)) mark(node);
    }
  }).observe(board, { childList: true, subtree: true, attributeFilter: ["class"] });

  // What the form sends: the deals with the versions on the screen, or the question that finds all of them.
  document.addEventListener("submit", ({ target }) => {
    if (!target.matches("[data-bulk]")) return;
    const seen = [...chosen].map((deal) => `${deal}:${document.getElementById(`deal-${deal}`)?.dataset.version ?? ""}`);
    target.elements.chosen.value = seen.filter((each) => !each.endsWith(":")).join(",");
    target.elements.query.value = location.search;
    target.querySelector("[name=all]")?.remove();
    if (all) target.append(Object.assign(document.createElement("input"), { type: "hidden", name: "all", value: "1" }));
  }, true);
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    if (!ctx.sourceElement.matches?.("[data-bulk]") || !(ctx.response?.status < 400)) return;
    ctx.sourceElement.closest("dialog").close();
    ctx.sourceElement.reset();
    none();
  });
  document.addEventListener("click", ({ target }) => {
    const fill = target.closest("[data-fill]");
    if (fill) {
      const field = fill.form.elements.lost_reason;
      field.value = fill.dataset.fill;
      field.focus();
    }
    target.closest("#bulk-result [data-dismiss]")?.closest("#bulk-job")?.remove();
  });
}
