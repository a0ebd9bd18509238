// Two clicks are one: what is being sent is not sent again, nor right after, while the answer is being put in its place.
const MOMENT = 600; // ms; a double click is quicker, a second thought slower
const sent = new WeakMap(); // form or button -> when it was sent
const awaited = new WeakSet();

const posts = (element) => element.matches?.("[hx-post], form[method=post]");

function once(event, element) {
  if (!element || !posts(element) || element.dataset.asked) return;
  const now = performance.now();
  if (awaited.has(element) || now - (sent.get(element) ?? -Infinity) < MOMENT) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else {
    sent.set(element, now);
  }
}

// Before anybody else hears of it.
addEventListener("submit", (event) => once(event, event.target), true);
addEventListener("click", (event) => once(event, event.target.closest?.("[hx-post]:not(form)")), true);
document.addEventListener("htmx:before:request", ({ detail }) => awaited.add(detail.ctx.sourceElement));
document.addEventListener("htmx:finally:request", ({ detail }) => {
  const element = detail.ctx.sourceElement;
  awaited.delete(element);
  sent.set(element, performance.now());
});
