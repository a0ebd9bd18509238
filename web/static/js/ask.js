// A dialog with content from the server: #ask opens when something with [data-show] arrives in #ask-body, and
// closes when its form (data-closes) has been accepted. [data-fill="id"] writes its own text into a field.
import { openDialog } from "./modal.js";

const dialog = document.getElementById("ask");
const body = document.getElementById("ask-body");

document.addEventListener("htmx:after:swap", () => {
  const fresh = body?.querySelector("[data-show]");
  if (!fresh) return;
  delete fresh.dataset.show; // open once: other swaps may follow before a closing dialog has been emptied
  openDialog(dialog);
});
dialog?.addEventListener("close", () => { if (!dialog.open && !body.querySelector("[data-show]")) body.replaceChildren(); }); // unless it shows the next question
document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response } = event.detail.ctx;
  if (sourceElement.matches?.("[data-closes]") && response?.status < 400) dialog.close();
});
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-fill]");
  if (!chip) return;
  const field = document.getElementById(chip.dataset.fill);
  field.value = chip.textContent.trim();
  field.focus();
});
