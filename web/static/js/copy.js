// [data-copy]: puts its text on the clipboard. The clipboard interface needs HTTPS; over plain HTTP
// copying a selection still works.
import { say } from "./toasts.js";

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden-text";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  const before = document.activeElement;
  area.select();
  document.execCommand("copy");
  area.remove();
  before?.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  copy(button.dataset.copy).then(() => say(document.body.dataset.sayCopied.replace("{text}", button.dataset.copy), "green"));
});
