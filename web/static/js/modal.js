// Dialogs over the page but not over the dock: a phone that rings can be answered and a note written while a form is filled in.
// So they are not modal for the browser (that would block the dock, too): everything except the dialog, the dock and the toasts
// is made inert, under a shade. Screen readers skip inert content, so aria-modal, which would hide the dock from them, is not
// needed.
const narrow = matchMedia("(max-width: 1024px)"); // then the dock is a sheet at the bottom
const stack = []; // { dialog, from: the element that had the focus }; the top dialog is the last one
const sealed = new Set();
const shade = document.createElement("div");
shade.id = "shade";
shade.hidden = true;
document.body.append(shade);
let unfold = null;

const dock = () => document.getElementById("dock");

function* others(node, live) {
  for (const child of node.children) {
    if (live.includes(child)) continue;
    if (live.some((one) => child.contains(one))) yield* others(child, live);
    else yield child;
  }
}

// Makes the page inert as the open dialogs require; also after a refresh has replaced a part of it.
function seal() {
  const gone = stack.filter(({ dialog }) => !dialog.open || !dialog.isConnected);
  for (const one of gone) stack.splice(stack.indexOf(one), 1);
  const top = stack.at(-1)?.dialog;
  const live = [top, dock(), document.getElementById("toasts"), shade].filter(Boolean);
  const now = new Set(top ? others(document.body, live) : []);
  for (const element of sealed) if (!now.has(element)) element.inert = false;
  for (const element of now) if (!element.inert) element.inert = true;
  sealed.clear();
  for (const element of now) sealed.add(element);
  shade.hidden = !top;
  const page = document.getElementById("page"); // Tab can reach it, so that keys can scroll it
  if (page) page.tabIndex = top && page.contains(top) ? -1 : 0;
  if (gone.length) giveBack(gone);
  if (top) return;
  watch.disconnect();
  unfold?.();
  unfold = null;
}
const watch = new MutationObserver(seal);

// The focus returns to its old place, unless it has moved elsewhere (into the dock).
function giveBack(gone) {
  const active = document.activeElement;
  if (active && active !== document.body && !gone.some(({ dialog }) => dialog.contains(active))) return;
  active?.blur(); // a field of a closed dialog keeps the focus until the next frame, and with it the next key
  const { from } = gone[0];
  const left = from?.checkVisibility?.() === false; // the menu it stood in has closed
  (left ? from.closest("details")?.querySelector("summary") : from)?.focus({ preventScroll: true });
}

function fold() {
  const line = dock()?.querySelector('.dock-fold[aria-expanded="true"]');
  if (!narrow.matches || !line) return;
  line.click();
  unfold = () => { if (line.getAttribute("aria-expanded") === "false") line.click(); };
}

export function openDialog(dialog) {
  if (dialog.open) return;
  if (!stack.length) {
    fold();
    watch.observe(document.body, { subtree: true, childList: true, attributeFilter: ["open", "inert"] });
  }
  stack.push({ dialog, from: document.activeElement });
  dialog.setAttribute("closedby", "closerequest"); // "back" on a phone closes it
  dialog.show();
  seal();
  begin(dialog);
}

// The browser begins at the first element, which is the cross of the header: Enter would close what has just opened.
function begin(dialog) {
  const inside = dialog.querySelector(".inside");
  if (!inside || !document.activeElement?.matches("dialog header [data-close]")) return;
  const usable = [...inside.querySelectorAll("input, select, textarea, button, a[href]")].filter((one) => one.checkVisibility() && !one.disabled && !one.matches("[data-close]"));
  usable[0]?.focus();
}

document.addEventListener("keydown", (event) => {
  const top = stack.at(-1)?.dialog;
  if (event.key !== "Escape" || !top || event.defaultPrevented || event.isComposing) return;
  event.preventDefault();
  if (event.target !== document.body && !top.contains(event.target)) return; // in the dock: Escape closes what is open there
  if (top.querySelector("details.menu[open], details.why[open]")) return;
  event.stopImmediatePropagation();
  top.close();
});
// A link in the dock would discard the text in the dialog, so it opens a new tab.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#dock a[href]");
  if (!link || !stack.length || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  window.open(link.href, "_blank", "noopener");
}, true);
shade.addEventListener("click", () => {
  const top = stack.at(-1)?.dialog;
  if (top && !top.querySelector("form") && top.getAttribute("role") !== "alertdialog") top.close();
});
