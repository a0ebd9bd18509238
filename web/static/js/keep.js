// Swaps a region and keeps its state: text that is being typed, caret, open menu, unsaved text, unfolded cards.
const folds = new Map(); // id of a <details data-folds> -> whether the person opened or closed it

document.addEventListener("click", (event) => {
  const summary = event.target.closest?.("[data-folds] > summary");
  if (!summary) return;
  if (summary.matches("[data-fixed]")) event.preventDefault(); // a current call is always shown in full
  else folds.set(summary.parentElement.id, !summary.parentElement.open);
});

// Text in one-line fields is kept, too; notes.js marks notes that are saved.
const FIELDS = "textarea[id], input[data-keep][id]";
document.addEventListener("input", ({ target }) => { if (target.matches("input[data-keep]")) target.dataset.state = "typing"; });

function held(region) {
  const active = document.activeElement;
  const inside = active && region.contains(active) ? active : null;
  const typing = inside?.id ? { id: active.id, start: active.selectionStart, end: active.selectionEnd } : null;
  const inHand = (field) => field === active && document.hasFocus() && field.dataset.state; // being edited, in the active tab
  const values = [...region.querySelectorAll(FIELDS)].filter((field) => inHand(field) || ["typing", "failed"].includes(field.dataset.state))
    .map((field) => ({ id: field.id, value: field.value, state: field.dataset.state }));
  const chosen = [...region.querySelectorAll("input[type=radio]:checked, input[type=checkbox]:checked")].map((input) => input.id).filter(Boolean);
  const open = [...region.querySelectorAll("details[open][id]:not([data-folds])")].map((details) => details.id);
  return { typing, values, chosen, open, at: inside?.closest("[data-folds]")?.id };
}

// Stores the state and returns a function that restores it. Only microtasks may run between the two: a key pressed in between
// would be undone by the restore.
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
    const wanted = folds.get(fold.id) ?? (fold.open || fold.id === before.at); // the card with the focus stays open
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
  // Setting a value, even the same one, moves the caret to the end.
  if (before.typing.start != null && field.setSelectionRange && field.selectionStart !== before.typing.start) field.setSelectionRange(before.typing.start, before.typing.end);
}
