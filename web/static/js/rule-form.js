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

// A select that changes the shape of the form is loaded when its value has settled: by keys, after a silence or when the focus leaves it, because
// each arrow and each letter is a change. An answer to what was typed before the latest key is not shown: it is asked for again.
const SILENCE = 400; // ms
let waiting = null; // the select, or the button, that is to load the form
let timer = 0;
let keys = { on: null, at: -Infinity };
const asked = new WeakMap(); // a request -> what was typed and where the focus was when it was sent
let last = 0; // the number of the latest request, and of the one that was shown
let shown = 0;
let focus = ""; // where somebody has gone meanwhile

function settle(element, after) {
  clearTimeout(timer);
  waiting = element;
  if (after) timer = setTimeout(load, after);
  else load();
}

function load() {
  clearTimeout(timer);
  const element = waiting;
  waiting = null;
  if (!element?.isConnected) return;
  if (element.matches("select")) element.dispatchEvent(new Event("settled"));
  else element.click();
}

const shapes = ({ sourceElement }) => sourceElement?.getAttribute?.("hx-target") === "#rule-form";
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-reshapes]")) settle(target, keys.on === target && performance.now() - keys.at < SILENCE ? SILENCE : 0);
});
document.addEventListener("keydown", ({ target, key: pressed }) => {
  keys = { on: target, at: performance.now() };
  if (waiting && form()?.contains(target)) settle(waiting, pressed === "Enter" && waiting === target ? 0 : SILENCE);
}, true);
document.addEventListener("focusout", ({ target }) => { if (waiting === target && target.isConnected) load(); });
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (form() && shapes(ctx)) asked.set(ctx, { typed: typed(), focus: document.activeElement?.id, number: ++last });
});
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const then = asked.get(ctx);
  if (!then || !form()) return;
  if (then.number < shown) { event.preventDefault(); return; } // a later one was faster
  if (ctx.sourceElement.isConnected && typed() !== then.typed) {
    event.preventDefault();
    if (!waiting) settle(ctx.sourceElement, SILENCE);
    return;
  }
  shown = then.number;
  const now = document.activeElement;
  focus = now && now.id !== then.focus && form().contains(now) ? now.id : "";
});
document.addEventListener("htmx:after:swap", () => {
  if (focus) document.getElementById(focus)?.focus();
  focus = "";
});

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
