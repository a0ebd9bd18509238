// Swap a region without taking anything out of somebody's hands: what is being typed, where the caret stands, which menu is
// open, what has not been saved yet.
function held(region) {
  const active = document.activeElement;
  const typing = active?.id && region.contains(active) ? { id: active.id, start: active.selectionStart, end: active.selectionEnd } : null;
  const values = [...region.querySelectorAll("textarea[id]")].filter((field) => field === active || field.dataset.state === "typing" || field.dataset.state === "failed")
    .map((field) => ({ id: field.id, value: field.value, state: field.dataset.state }));
  const chosen = [...region.querySelectorAll("input[type=radio]:checked, input[type=checkbox]:checked")].map((input) => input.id).filter(Boolean);
  const open = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
  return { typing, values, chosen, open };
}

export async function keeping(region, swap) {
  const before = held(region);
  await swap();
  for (const field of region.querySelectorAll("textarea[id]")) if (field.value !== field.defaultValue) field.value = field.defaultValue;
  for (const { id, value, state } of before.values) {
    const field = document.getElementById(id);
    if (!field) continue;
    field.value = value;
    if (state) field.dataset.state = state;
  }
  for (const id of before.chosen) { const input = document.getElementById(id); if (input) input.checked = true; }
  for (const id of before.open) { const details = document.getElementById(id); if (details) details.open = true; }
  const field = before.typing && document.getElementById(before.typing.id);
  if (field && document.activeElement !== field) {
    field.focus({ preventScroll: true });
    if (before.typing.start != null && field.setSelectionRange) field.setSelectionRange(before.typing.start, before.typing.end);
  }
}
