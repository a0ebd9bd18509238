// Small things of the pages of work: a new deal in a dialog on every page, Ctrl+Enter sends a note, a lost deal asks why.
import "./choose.js";
import { openDialog } from "./modal.js";

export function show(id, heading, html) {
  let dialog = document.getElementById(id);
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = id;
    const header = document.createElement("header");
    const title = document.createElement("h2");
    title.id = `${id}-heading`;
    dialog.setAttribute("aria-labelledby", title.id);
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn ghost small";
    close.dataset.close = "";
    close.textContent = "✕";
    close.setAttribute("aria-label", document.body.dataset.sayClose);
    header.append(title, close);
    const inside = document.createElement("div");
    inside.className = "inside bare";
    dialog.append(header, inside);
    document.body.append(dialog);
  }
  dialog.querySelector("h2").textContent = heading;
  const inside = dialog.querySelector(".inside");
  inside.innerHTML = html;
  window.htmx.process(inside);
  openDialog(dialog);
  inside.querySelector("[autofocus], [aria-invalid], input:not([type=hidden]), textarea")?.focus();
  return dialog;
}

async function newDeal(link) {
  try {
    const response = await fetch(link.href, { headers: { "HX-Request": "true", "HX-Request-Type": "partial", Accept: "text/html" } });
    if (!response.ok || response.redirected) { location.href = link.href; return; }
    show("new-deal", link.textContent.trim() || link.getAttribute("aria-label"), await response.text());
  } catch { location.href = link.href; }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="/deals/new"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || !window.htmx) return;
  event.preventDefault();
  newDeal(link);
});
// "Cancel" inside a dialog only closes it.
document.addEventListener("click", (event) => {
  const cancel = event.target.closest("#new-deal .inside a.btn.ghost, #next-task .inside a.btn.ghost");
  if (cancel) { event.preventDefault(); cancel.closest("dialog").close(); }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.closest?.("form[data-note]");
  if (form) { event.preventDefault(); form.requestSubmit(); }
});
document.addEventListener("htmx:after:request", (event) => {
  const form = event.detail.ctx.sourceElement;
  if (form.matches?.("form[data-note]") && event.detail.ctx.response?.status < 400) form.reset();
});

// On a deal's card: a stage that closes the deal may ask for something before it is entered: why it is lost, the next task.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const dialog = document.getElementById("lost");
  if (!form.matches("form.step.won, form.step.lost") || !dialog || !window.htmx) return;
  event.preventDefault();
  event.stopPropagation();
  const body = new URLSearchParams(new FormData(form));
  fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true", "HX-Request-Type": "partial", Accept: "text/html" } })
    .then(async (response) => {
      const html = await response.text();
      const asked = response.headers.get("x-field");
      if (response.headers.get("hx-redirect")) location.href = response.headers.get("hx-redirect");
      else if (asked === "next_task") showNextTask(html);
      else if (response.headers.get("hx-retarget") === "#toasts") document.getElementById("toasts").insertAdjacentHTML("beforeend", html);
      else {
        const inside = dialog.querySelector("#lost-body");
        inside.innerHTML = html;
        window.htmx.process(inside);
        openDialog(dialog);
        inside.querySelector("input:not([type=hidden])")?.focus();
      }
    })
    .catch(() => form.submit());
}, true);

// The form of the next task that a move waits for, in a dialog named by the form itself.
export function showNextTask(html) {
  document.getElementById("lost-body")?.replaceChildren();
  const dialog = show("next-task", "", html);
  dialog.querySelector("h2").textContent = dialog.querySelector("[data-heading]").dataset.heading;
  dialog.querySelector('[name="next_title"]').select();
  return dialog;
}

// The path of stages may be wider than the window: where the deal is must be seen.
const here = document.querySelector(".path [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;
