// Toasts at the bottom of the page. They disappear after a while, but not while the pointer is on them, and not if they
// report an error or a new request.
const STAYS = 8000;

export function say(text, tone = "") {
  const toast = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  toast.querySelector(".text").textContent = text;
  if (tone) toast.classList.add(tone);
  if (tone === "red") toast.setAttribute("role", "alert");
  document.getElementById("toasts").append(toast);
  return toast;
}

function leaveLater(toast) {
  if (toast.matches(".red, .stays")) return;
  let timer = 0;
  const start = () => { timer = setTimeout(() => toast.remove(), STAYS); };
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("focusout", start);
  start();
}

// Whoever repeats an act quickly reads the last answers: older ones would cover the page.
const AT_ONCE = 2;
function makeRoom() {
  const leaving = [...document.querySelectorAll("#toasts > .toast:not(.red, .stays, :hover, :focus-within)")];
  for (const toast of leaving.slice(0, -AT_ONCE)) toast.remove();
}

new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) if (node.classList?.contains("toast")) leaveLater(node);
  }
  makeRoom();
}).observe(document.getElementById("toasts"), { childList: true });

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".toast, .bulk-result")?.remove();
});
document.addEventListener("htmx:after:request", (event) => {
  // After an undo its toast is removed.
  const toast = event.detail.ctx.sourceElement.closest?.(".toast");
  if (toast && event.detail.ctx.response?.status < 400) toast.remove();
});

// Undo for an action of the previous page: a complete form that is only submitted.
const offer = document.querySelector("form[data-offers]");
if (offer) {
  const toast = say(offer.dataset.offers, "green");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "btn undo", textContent: offer.dataset.word });
  button.addEventListener("click", () => offer.requestSubmit());
  toast.querySelector(".text").after(button);
}
const done = document.querySelector("[data-say]");
if (done) say(done.dataset.say, "green");
