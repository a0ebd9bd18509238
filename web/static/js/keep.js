// Swap a region without taking anything out of somebody's hands: what is being typed, where the caret stands, which menu is
// open, what has not been saved yet.
function held(region) {
  const active = document.activeElement;
  const typing = active?.id && region.contains(active) ? { id: active.id, start: active.selectionStart, end: active.selectionEnd } : null;
  const inHand = (field) => field === active && document.hasFocus() && field.dataset.state; // typed into, in the tab that is used
  const values = [...region.querySelectorAll("textarea[id]")].filter((field) => inHand(field) || ["typing", "failed"].includes(field.dataset.state))
    .map((field) => ({ id: field.id, value: field.value, state: field.dataset.state }));
  const chosen = [...region.querySelectorAll("input[type=radio]:checked, input[type=checkbox]:checked")].map((input) => input.id).filter(Boolean);
  const open = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
  return { typing, values, chosen, open };
}

export async function keeping(region, swap) {
  const before = held(region);
  await swap();
  const kept = new Map(before.values.map((held) => [held.id, held]));
  for (const field of region.querySelectorAll("textarea[id]")) {
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
