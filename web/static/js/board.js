// The board: cards are dragged (SortableJS) or moved by menu and keys; every move sends the version that the
// person saw, and the answer is the current card. When a colleague changes a deal, a hint names it and only that card is
// loaded again.
import { clicked as choosing } from "./chosen.js";
import { complete, isRefused } from "./complete.js";
import { openDialog } from "./modal.js";
import { say } from "./toasts.js";

const board = document.getElementById("board");
const mayMove = board.hasAttribute("data-may-move");
const query = location.search;
const headers = { "HX-Request": "true", Accept: "text/html" };

const cardOf = (element) => element?.closest?.(".card");
const columnOf = (element) => element?.closest?.(".col");
const columnAt = (stage) => board.querySelector(`.col[data-stage="${CSS.escape(stage)}"]`);
const cardAt = (deal) => document.getElementById(`deal-${deal}`);

function elementFrom(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

// The order of a column: by lamp if that is asked for, then the last to enter the stage first.
const byLamp = board.dataset.sort === "lamp";
function isBefore(one, other) {
  const apart = (byLamp ? Number(one.rank) - Number(other.rank) : 0)
    || Number(one.since) - Number(other.since) || Number(one.deal) - Number(other.deal);
  return apart > 0;
}

// Puts a card into its column, sorted; keeps the focus if it was in the card.
function place(fresh, bright) {
  const old = cardAt(fresh.dataset.deal);
  const focused = old?.contains(document.activeElement) ? (document.activeElement.matches("[data-move]") ? "[data-move]" : "[data-card]") : null;
  old?.remove();
  const list = columnAt(fresh.dataset.stage)?.querySelector("[data-cards]");
  if (!list) return;
  const next = [...list.querySelectorAll(".card")].find((card) => isBefore(fresh.dataset, card.dataset));
  const more = list.querySelector("[data-more]");
  if (!next && more) return; // below the loaded cards: it is loaded with the rest
  list.insertBefore(fresh, next ?? more ?? null);
  window.htmx.process(fresh);
  if (bright) fresh.classList.add("fresh");
  if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
}

let headsTimer = 0;
function heads() {
  clearTimeout(headsTimer);
  headsTimer = setTimeout(async () => {
    try {
      const response = await fetch(`/board/heads${query}`, { headers });
      if (!response.ok) return;
      const template = document.createElement("template");
      template.innerHTML = await response.text();
      for (const head of [...template.content.querySelectorAll(".colhead")]) document.getElementById(head.id)?.replaceWith(head);
      const sum = template.content.getElementById("board-sum");
      if (sum) document.getElementById("board-sum")?.replaceWith(sum);
    } catch { /* the next hint asks again */ }
  }, 120);
}

const changed = new Set(); // ids of deals that hints named
let timer = 0;
function flushLater(ms) {
  clearTimeout(timer);
  timer = setTimeout(flush, ms);
}

// A card that is dragged, or whose move is not answered yet, is not replaced; it is loaded again afterwards.
const inHand = () => board.querySelector(".sortable-chosen, .sortable-ghost, [data-busy]") !== null;

async function again(deal, bright = true) {
  try {
    const response = await fetch(`/board/cards/${deal}${query}`, { headers });
    if (inHand()) { changed.add(deal); flushLater(400); return; }
    if (response.status === 204 || response.status === 404) cardAt(deal)?.remove();
    else if (response.ok) place(elementFrom(await response.text()), bright);
  } catch { /* the bar says that the page is not live */ }
}

async function reload() {
  try {
    const response = await fetch(location.href, { headers: { ...headers, "HX-Request-Type": "full" } });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (inHand()) { setTimeout(reload, 400); return; }
    for (const column of page.querySelectorAll("#board .col")) {
      const here = columnAt(column.dataset.stage);
      if (!here) return location.reload();
      const list = here.querySelector("[data-cards]");
      const top = list.scrollTop;
      list.replaceChildren(...column.querySelector("[data-cards]").children);
      window.htmx.process(list);
      list.scrollTop = top;
    }
    heads();
  } catch { /* the next hint or reconnect tries again */ }
}

// Columns without cards are narrow. No width changes while a card is dragged.
function narrow() {
  if (window.Sortable?.dragged) return;
  for (const column of board.querySelectorAll(".col")) column.classList.toggle("empty", !column.querySelector(".card, [data-more]"));
}
new MutationObserver(narrow).observe(board, { childList: true, subtree: true });

// The place to which a card returns when its move was refused.
function goBack(card, from) {
  if (from?.parent?.isConnected) from.parent.insertBefore(card, from.next?.isConnected ? from.next : null);
}

// ``answers``: what a dialog asked for, by the names of its fields.
async function move(card, stage, from, answers = {}) {
  const name = columnAt(stage)?.dataset.name ?? document.querySelector(`#move [data-stage-choice][value="${CSS.escape(stage)}"]`)?.dataset.name; // of another pipeline
  if (!name) return;
  const was = card.dataset.stage;
  const body = new URLSearchParams({ board: "1", stage_id: stage, version: card.dataset.version });
  for (const [name, values] of Object.entries(answers)) {
    if (!["board", "stage_id", "version"].includes(name)) for (const value of [values].flat()) body.append(name, value);
  }
  card.classList.add("sending");
  card.dataset.busy = "";
  try {
    const response = await fetch(`/deals/${card.dataset.deal}/move`, { method: "POST", headers, body });
    const html = await response.text();
    if (response.ok) {
      const held = card.contains(document.activeElement) || document.activeElement === document.body;
      const fresh = elementFrom(html);
      place(fresh, true);
      if (held) fresh.querySelector("[data-card]")?.focus({ preventScroll: true });
      fresh.scrollIntoView({ block: "nearest", inline: "nearest" });
      const toast = say(board.dataset.sayMoved.replace("{stage}", name));
      if (!answers.undo) offer(toast, fresh, was);
      heads();
      return true;
    }
    if (response.status === 401) return location.reload();
    goBack(card, from);
    if (isRefused(response)) {
      const now = () => cardAt(card.dataset.deal) ?? card;
      return complete(html, (given) => move(now(), stage, null, given), () => now().querySelector("[data-card]")?.focus({ preventScroll: true }));
    }
    const toast = elementFrom(html);
    if (toast?.classList.contains("toast")) document.getElementById("toasts").append(toast);
    else say(document.body.dataset.sayOffline, "red");
    delete card.dataset.busy;
    await again(card.dataset.deal); // the current card, wherever it belongs now
    heads();
  } catch {
    goBack(card, from);
    say(document.body.dataset.sayOffline, "red");
  } finally {
    card.classList.remove("sending");
    delete card.dataset.busy;
  }
}

// Undo, for a card that was dropped on the wrong column.
function offer(toast, moved, stage) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "btn undo", textContent: board.dataset.sayUndo });
  button.addEventListener("click", () => {
    toast.remove();
    const card = cardAt(moved.dataset.deal) ?? (columnAt(moved.dataset.stage) ? null : moved); // one that went to another pipeline is not on this board
    if (card) move(card, stage, null, { undo: "1" });
    else say(board.dataset.sayGone, "red");
  });
  toast.querySelector(".text").after(button);
}

const titleOf = (card) => card.querySelector("[data-card]").textContent.trim();

// The actions on a card, for mouse and keys: call, plan, assign, lose, move.
function choose(card) {
  const dialog = document.getElementById("move");
  dialog.querySelector("[data-what]").textContent = titleOf(card);
  dialog.returnValue = "";
  for (const button of dialog.querySelectorAll("[data-stage-choice]")) button.disabled = button.value === card.dataset.stage;
  for (const fold of dialog.querySelectorAll("details")) fold.open = false;
  const lose = dialog.querySelector('[value="lost"]');
  if (lose) lose.hidden = !columnOf(card) || ["won", "lost"].includes(columnOf(card).dataset.kind);
  const task = dialog.querySelector("[data-task]");
  if (task) task.href = `/tasks/new?deal=${card.dataset.deal}&back=${encodeURIComponent(location.pathname + location.search)}`;
  dialog.onclose = () => {
    const now = cardAt(card.dataset.deal) ?? card;
    const chosen = dialog.returnValue;
    now.querySelector("[data-card]")?.focus({ preventScroll: true });
    if (chosen === "call") call(now);
    else if (chosen === "lost") move(now, board.querySelector('.col[data-kind="lost"]')?.dataset.stage, null);
    else if (chosen.startsWith("give-")) give(now, chosen.slice(5));
    else if (chosen) move(now, chosen, null);
  };
  openDialog(dialog);
  dialog.querySelector(".choices [data-stage-choice]:not(:disabled)")?.focus();
}

// The answer to actions that do not move a card: show its toast and load the current card.
async function act(card, path, fields) {
  try {
    const response = await fetch(path, { method: "POST", headers, body: new URLSearchParams(fields) });
    const fresh = elementFrom(await response.text());
    if (response.status === 401) return location.reload();
    if (fresh?.classList.contains("toast")) document.getElementById("toasts").append(fresh);
    else if (response.ok && fresh?.classList.contains("card")) {
      say(decodeURIComponent(response.headers.get("x-said") ?? ""), "green");
      place(fresh, true);
      fresh.querySelector("[data-card]")?.focus({ preventScroll: true });
    } else say(document.body.dataset.sayOffline, "red");
    if (!response.ok) await again(card.dataset.deal);
  } catch { say(document.body.dataset.sayOffline, "red"); }
}
const call = (card) => act(card, "/phone/call", { deal_id: card.dataset.deal });
const give = (card, person) => act(card, `/deals/${card.dataset.deal}/assign`, { responsible_id: person, version: card.dataset.version });

function step(card, by) {
  const columns = [...board.querySelectorAll(".col")];
  const target = columns[columns.indexOf(columnOf(card)) + by];
  if (target) move(card, target.dataset.stage, null);
}

function go(card, key) {
  const cards = [...columnOf(card).querySelectorAll(".card")];
  const row = cards.indexOf(card);
  let target = key === "ArrowUp" ? cards[row - 1] : key === "ArrowDown" ? cards[row + 1] : null;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const columns = [...board.querySelectorAll(".col")].filter((column) => column.querySelector(".card"));
    const there = columns[columns.indexOf(columnOf(card)) + (key === "ArrowLeft" ? -1 : 1)]?.querySelectorAll(".card");
    target = there?.[Math.min(row, there.length - 1)];
  }
  target?.querySelector("[data-card]").focus();
  target?.scrollIntoView({ block: "nearest", inline: "nearest" });
  return Boolean(target);
}

board.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-move]");
  if (opener) return choose(cardOf(opener));
  // A click anywhere on a card opens it, except on its buttons and links and while text is selected.
  const card = cardOf(event.target);
  if (!card || event.defaultPrevented || event.target.closest("a, button, summary, details") || (getSelection()?.toString() && !event.shiftKey)) return;
  if (choosing(event, card)) return;
  card.querySelector("[data-card]").click();
});
board.addEventListener("keydown", (event) => {
  const card = cardOf(event.target);
  if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
  if (mayMove && event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    event.preventDefault();
    step(card, event.key === "ArrowLeft" ? -1 : 1);
  } else if (mayMove && event.code === "KeyM" && !event.shiftKey) {
    event.preventDefault();
    event.stopPropagation();
    choose(card);
  } else if (event.code === "KeyC" && !event.shiftKey) {
    event.preventDefault();
    event.stopPropagation();
    call(card);
  } else if (event.key.startsWith("Arrow") && go(card, event.key)) event.preventDefault();
});
// Without a focused card, an arrow selects the first one.
document.addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow") || event.target !== document.body || document.querySelector("dialog[open]")) return;
  board.querySelector("[data-card]")?.focus();
});

function sortables() {
  if (!mayMove || !window.Sortable) return;
  for (const list of board.querySelectorAll("[data-cards]")) {
    if (window.Sortable.get(list)) continue;
    let from = null;
    window.Sortable.create(list, {
      group: "deals", sort: false, draggable: ".card", animation: 120, delay: 160, delayOnTouchOnly: true, touchStartThreshold: 6,
      filter: "button, .next a", preventOnFilter: false, scroll: true, bubbleScroll: true,
      onStart: ({ item }) => { from = { parent: item.parentElement, next: item.nextElementSibling }; },
      onEnd: ({ item }) => {
        setTimeout(narrow);
        const stage = columnOf(item).dataset.stage;
        if (stage !== item.dataset.stage) move(item, stage, from);
      },
    });
  }
}
// A drop between columns, beside them, above or below a list goes to the nearest column, which is highlighted.
function beside(event) {
  const dragged = window.Sortable?.dragged;
  const point = event.touches?.[0] ?? event;
  if (!dragged || !dragged.isConnected || document.elementFromPoint(point.clientX, point.clientY)?.closest("[data-cards]")) return;
  if (!point.clientX && !point.clientY) return; // the last drag event of some browsers has no position
  const away = (column) => { const box = column.getBoundingClientRect(); return Math.max(box.left - point.clientX, point.clientX - box.right, 0); };
  const nearest = [...board.querySelectorAll(".col")].sort((one, other) => away(one) - away(other))[0];
  const list = nearest?.querySelector("[data-cards]");
  if (list && dragged.parentElement !== list) list.prepend(dragged);
  event.preventDefault?.();
}
for (const moved of ["dragover", "touchmove", "pointermove"]) document.addEventListener(moved, beside, { passive: false });

if (document.readyState === "complete") sortables();
else addEventListener("load", sortables);

function flush() {
  if (inHand()) { flushLater(400); return; }
  const deals = [...changed];
  changed.clear();
  if (deals.length > 12) { reload(); return; }
  for (const deal of deals) again(deal);
  heads();
}
// Somebody has changed the stages: columns come, go, change their place and their name; the cards that are here stay.
let stagesTimer = 0;
async function stages() {
  clearTimeout(stagesTimer);
  if (inHand()) { stagesTimer = setTimeout(stages, 400); return; }
  try {
    const response = await fetch(location.href, { headers: { ...headers, "HX-Request-Type": "full" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("board");
    if (!fresh) return;
    if (inHand()) { stagesTimer = setTimeout(stages, 400); return; }
    const wanted = [...fresh.querySelectorAll(".col")];
    const kinds = new Map(wanted.map((column) => [column.dataset.stage, column.dataset.kind]));
    for (const old of board.querySelectorAll(".col")) if (kinds.get(old.dataset.stage) !== old.dataset.kind) old.remove();
    for (const [place, column] of wanted.entries()) {
      const here = columnAt(column.dataset.stage) ?? column;
      here.dataset.name = column.dataset.name;
      if (board.children[place] !== here) board.insertBefore(here, board.children[place] ?? null); // only then: a column that is moved forgets how far it was scrolled
      if (here === column) window.htmx.process(column);
    }
    const choices = fresh.ownerDocument.querySelector("#move [data-stages]");
    if (choices) document.querySelector("#move [data-stages]")?.replaceWith(choices);
    sortables();
    narrow();
    heads();
  } catch { /* the next hint or reconnect tries again */ }
}

document.addEventListener("live:hint", ({ detail }) => {
  if (detail.topic === "pipeline" && String(detail.ref) === board.dataset.pipeline) { clearTimeout(stagesTimer); stagesTimer = setTimeout(stages, 200); return; }
  if (detail.topic !== "deal") return;
  changed.add(detail.ref);
  flushLater(80);
});
document.addEventListener("live:refresh-all", reload);
document.querySelector("[data-submit]")?.addEventListener("change", (event) => event.target.form.requestSubmit());

// The keys of the board, for the list that "?" opens.
const keys = document.querySelector("[data-board-keys]");
if (keys) document.querySelector("[data-keylist]")?.append(...keys.children);
