// Swap a region without taking anything out of somebody's hands: what is being typed, where the caret stands, which menu is
// open, what has not been saved yet, which card one has unfolded.
const folds = new Map(); // id of a <details data-folds> -> whether whoever looks at it wants it open

document.addEventListener("click", (event) => {
  const summary = event.target.closest?.("[data-folds] > summary");
  if (!summary) return;
  if (summary.matches("[data-fixed]")) event.preventDefault(); // a call that goes on is always shown whole
  else folds.set(summary.parentElement.id, !summary.parentElement.open);
});

// What is typed into a field of one line stays, too; a note says itself when it has been saved (notes.js).
const FIELDS = "textarea[id], input[data-keep][id]";
document.addEventListener("input", ({ target }) => { if (target.matches("input[data-keep]")) target.dataset.state = "typing"; });

function held(region) {
  const active = document.activeElement;
  const inside = active && region.contains(active) ? active : null;
  const typing = inside?.id ? { id: active.id, start: active.selectionStart, end: active.selectionEnd } : null;
  const inHand = (field) => field === active && document.hasFocus() && field.dataset.state; // typed into, in the tab that is used
  const values = [...region.querySelectorAll(FIELDS)].filter((field) => inHand(field) || ["typing", "failed"].includes(field.dataset.state))
    .map((field) => ({ id: field.id, value: field.value, state: field.dataset.state }));
  const chosen = [...region.querySelectorAll("input[type=radio]:checked, input[type=checkbox]:checked")].map((input) => input.id).filter(Boolean);
  const open = [...region.querySelectorAll("details[open][id]:not([data-folds])")].map((details) => details.id);
  return { typing, values, chosen, open, at: inside?.closest("[data-folds]")?.id };
}

// Remember what is in hand; the answer puts it back. Between the two nothing may wait but for microtasks: a key that is
// pressed after the first would be taken back by the second.
export function hold(region) {
  const before = held(region);
  return () => restore(region, before);
}

export async function keeping(region, swap) {
  const putBack = hold(region);
  await swap();
  putBack();
}

function restore(region, before) {
  for (const fold of region.querySelectorAll("[data-folds]:not(:has(> [data-fixed]))")) {
    const wanted = folds.get(fold.id) ?? (fold.open || fold.id === before.at); // the card one is at stays open
    if (fold.open !== wanted) fold.open = wanted;
  }
  const kept = new Map(before.values.map((field) => [field.id, field]));
  for (const field of region.querySelectorAll(FIELDS)) {
    const { value, state } = kept.get(field.id) ?? { value: field.defaultValue };
    if (field.value !== value) field.value = value;
    if (state) field.dataset.state = state;
  }
  for (const id of before.chosen) { const input = document.getElementById(id); if (input) input.checked = true; }
  for (const id of before.open) { const details = document.getElementById(id); if (details) details.open = true; }
  const field = before.typing && document.getElementById(before.typing.id);
  if (!field) return;
  if (document.activeElement !== field) field.focus({ preventScroll: true });
  // A value that was set, even to the same words, puts the caret behind the last of them.
  if (before.typing.start != null && field.setSelectionRange && field.selectionStart !== before.typing.start) field.setSelectionRange(before.typing.start, before.typing.end);
}
