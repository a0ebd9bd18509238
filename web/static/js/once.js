// Prevents double actions. A click is ignored if it is the second of a double click, if the answer to the first one is pending,
// or if the answer has just put another button under a pointer that has not moved.
const awaited = new WeakSet(); // forms and buttons

function drop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function sender(button) {
  if (button.matches("[hx-post]")) return button;
  return button.type === "submit" && button.form?.matches("[hx-post], [method=post]") ? button.form : null;
}

const SLIPPED = 1500; // ms
let last = { at: -SLIPPED };

function slipped(event, button) {
  const still = Math.abs(event.clientX - last.x) < 5 && Math.abs(event.clientY - last.y) < 5;
  return event.detail > 0 && event.timeStamp - last.at < SLIPPED && still && button.textContent.trim() !== last.word;
}

// Runs before other handlers. A submit by Enter is no click, but can also come twice.
addEventListener("click", (event) => {
  const button = event.target.closest?.("button, [hx-post]");
  const sends = button && sender(button);
  if (!sends) return;
  if (event.detail > 1 || awaited.has(sends) || slipped(event, button)) return drop(event);
  last = { at: event.timeStamp, x: event.clientX, y: event.clientY, word: button.textContent.trim() };
}, true);
addEventListener("submit", (event) => { if (awaited.has(event.target)) drop(event); }, true);
document.addEventListener("htmx:before:request", ({ detail }) => awaited.add(detail.ctx.sourceElement));
document.addEventListener("htmx:finally:request", ({ detail }) => awaited.delete(detail.ctx.sourceElement));
