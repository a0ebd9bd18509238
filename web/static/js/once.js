// Two clicks are one: neither the second of a double click counts, nor one while the answer to the first is awaited.
const awaited = new WeakSet(); // forms and buttons

function drop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function sender(button) {
  if (button.matches("[hx-post]")) return button;
  return button.type === "submit" && button.form?.matches("[hx-post], [method=post]") ? button.form : null;
}

// Before anybody else hears of it. A submit by Enter is no click of a double one, but may come twice as well.
addEventListener("click", (event) => {
  const button = event.target.closest?.("button, [hx-post]");
  const sends = button && sender(button);
  if (sends && (event.detail > 1 || awaited.has(sends))) drop(event);
}, true);
addEventListener("submit", (event) => { if (awaited.has(event.target)) drop(event); }, true);
document.addEventListener("htmx:before:request", ({ detail }) => awaited.add(detail.ctx.sourceElement));
document.addEventListener("htmx:finally:request", ({ detail }) => awaited.delete(detail.ctx.sourceElement));
