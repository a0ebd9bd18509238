// <textarea data-save-to="/…">: kept as one types. Saved half a second after the last key, when one leaves the field, and
// when the page goes away; what could not be saved stays marked and is tried again.
const PAUSE = 500;
const RETRY = 4000;
const timers = new WeakMap();

async function save(field, keepalive = false) {
  clearTimeout(timers.get(field));
  const text = field.value;
  try {
    const response = await fetch(field.dataset.saveTo, { method: "POST", body: new URLSearchParams({ text }), keepalive });
    if (!response.ok) throw new Error(String(response.status));
    if (field.value === text) field.dataset.state = "saved";
  } catch {
    field.dataset.state = "failed";
    timers.set(field, setTimeout(() => save(field), RETRY));
  }
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-save-to]")) return;
  target.dataset.state = "typing";
  clearTimeout(timers.get(target));
  timers.set(target, setTimeout(() => save(target), PAUSE));
});
document.addEventListener("focusout", ({ target }) => {
  if (target.matches?.("[data-save-to]") && target.dataset.state === "typing") save(target);
});
addEventListener("pagehide", () => {
  for (const field of document.querySelectorAll("[data-save-to][data-state=typing]")) save(field, true);
});
