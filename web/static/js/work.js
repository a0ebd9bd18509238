// Small helpers: the dialog for a new deal on every page; Ctrl+Enter sends a note; filters without empty values.
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
  const cancel = event.target.closest("#new-deal .inside a.btn.ghost");
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

// The path of stages may be wider than the window: scroll to the current stage.
const here = document.querySelector(".path [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;

// A filter that is left empty does not stand in the address.
document.addEventListener("formdata", ({ target, formData }) => {
  if (!target.matches("[data-filters], .find:not([data-find]), .whose:not([action=\"/tasks\"])")) return;
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
