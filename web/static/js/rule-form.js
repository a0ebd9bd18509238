// The form of a rule. Its shape grows while one types, so the whole form is stored in this tab (drafts.js stores fields of forms whose shape is
// fixed) and drawn again by the server after a reload. Steps are reordered by dragging; the buttons beside each do the same for the keyboard.
import { say } from "./toasts.js";

let sent = false; // saved or cancelled: nothing is stored any more
const AGE = 12 * 3600 * 1000;
const form = () => document.querySelector("form[data-rule-form]");
const key = () => `pbxcrm.rule.${location.pathname}${location.search}`;
const typed = () => new URLSearchParams(new FormData(form())).toString();

function store() {
  try { sessionStorage.setItem(key(), JSON.stringify({ at: Date.now(), typed: typed() })); } catch { /* storage is full: the draft is not stored */ }
}

async function restore() {
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(key()) ?? "null"); } catch { /* not ours */ }
  const now = new FormData(form());
  if (!kept || Date.now() - kept.at > AGE || kept.typed === typed()) return;
  if ((new URLSearchParams(kept.typed).get("version") ?? "") !== (now.get("version") ?? "")) return; // somebody has saved meanwhile: theirs is shown
  const answer = await fetch("/automation/shape", {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true", "Page-Language": document.documentElement.lang },
    body: kept.typed,
  });
  if (!answer.ok) return;
  form().outerHTML = await answer.text();
  window.htmx.process(form());
  arm();
}

function arm() {
  const list = document.querySelector("[data-steps]:not([data-armed])");
  if (!list) return;
  list.dataset.armed = "1";
  window.Sortable?.create(list, {
    handle: ".handle",
    animation: 120,
    onEnd({ item, oldIndex, newIndex }) {
      if (oldIndex === newIndex) return;
      say(list.dataset.sayMoved.replace("{place}", newIndex + 1));
      const button = form().querySelector("[data-shape]");
      button.setAttribute("hx-vals", JSON.stringify({ act: `place:${item.dataset.step}:${newIndex}` }));
      button.click();
    },
  });
}

document.addEventListener("input", ({ target }) => { if (target.form && target.form === form()) store(); });
document.addEventListener("htmx:after:swap", () => { arm(); if (form() && !sent) store(); });
document.addEventListener("htmx:after:request", ({ detail }) => {
  const { sourceElement, response } = detail.ctx;
  if (sourceElement === form() && response?.status < 400) { sent = true; sessionStorage.removeItem(key()); }
});
document.addEventListener("click", ({ target }) => {
  if (target.closest?.("form[data-rule-form] a.btn.ghost")) { sent = true; sessionStorage.removeItem(key()); } // "Cancel"
});
if (form()) { arm(); restore(); }
