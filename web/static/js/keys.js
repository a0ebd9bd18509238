// The keyboard: "/" and Ctrl+K search, "?" lists the keys, "g" and a letter go to a section (data-go), and any element
// with data-key="x" is pressed by that key and is listed with its own name. Keys do nothing while text is typed.
import { openDialog } from "./modal.js";

const typing = (element) =>
  element?.closest?.('input:not([type="checkbox"]):not([type="radio"]):not([type="button"]):not([type="submit"]), textarea, select, [contenteditable]:not([contenteditable="false"])');

let goUntil = 0;

function visible(element) {
  return element.checkVisibility ? element.checkVisibility() : element.offsetParent !== null;
}

function nameOf(element) {
  const words = element.cloneNode(true);
  for (const key of words.querySelectorAll("kbd")) key.remove();
  return (element.dataset.keyword || element.getAttribute("aria-label") || words.textContent).trim().replace(/\s+/g, " ");
}

function showKeys() {
  const dialog = document.getElementById("keys");
  if (!dialog || dialog.open) return;
  const list = dialog.querySelector("[data-keylist]");
  for (const old of list.querySelectorAll("[data-found]")) old.remove();
  const seen = new Set();
  // The keys of the current row come before those of the page, and these before those of the bar.
  const found = [...document.querySelectorAll("[data-keys].now [data-key]"), ...document.querySelectorAll("#page [data-key]"), ...document.querySelectorAll("[data-key]")];
  for (const element of found.filter(visible)) {
    const key = element.dataset.key;
    if (seen.has(key)) continue;
    seen.add(key);
    const term = document.createElement("dt");
    const kbd = document.createElement("kbd");
    kbd.textContent = key === " " ? "Space" : key;
    term.append(kbd);
    const name = document.createElement("dd");
    name.textContent = nameOf(element);
    term.dataset.found = name.dataset.found = "";
    list.append(term, name);
  }
  openDialog(dialog);
}

function focusSearch(event) {
  const search = document.getElementById("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.code === "KeyK") return focusSearch(event);
  if (event.key === "Escape" && event.target.id === "search" && !event.defaultPrevented) {
    event.target.value = "";
    document.getElementById("found").replaceChildren();
    return event.target.blur();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  // Uses the position of the key, so that letters also work with a Ukrainian or Russian layout.
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase() ?? event.key;
  if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) return showKeys();
  if (event.key === "/" || (event.code === "Slash" && !event.shiftKey)) return focusSearch(event);
  if (goUntil > event.timeStamp) {
    goUntil = 0;
    const section = document.querySelector(`[data-go="${CSS.escape(letter)}"]`);
    if (section) { event.preventDefault(); section.click(); }
    return;
  }
  if (letter === "g" && !event.shiftKey) { goUntil = event.timeStamp + 1500; return; }
  // Space and Enter on a button or link already mean that button.
  if ((event.key === " " || event.key === "Enter") && event.target.closest("a, button, summary")) return;
  const row = event.target.closest?.("[data-keys]") ?? document.querySelector("[data-keys].now");
  const wanted = `[data-key="${CSS.escape(letter)}"], [data-key="${CSS.escape(event.key)}"]`;
  // The keys of the page come before those of the bar, which stands on every page: "n" adds a stage where stages are edited.
  const pressed = [row, document.getElementById("page"), document].flatMap((part) => [...(part?.querySelectorAll(wanted) ?? [])]).find(visible);
  if (pressed) { event.preventDefault(); pressed.click(); }
});
