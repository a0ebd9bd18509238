// The one dialog that asks for what a refused move lacks and sends the act again with it: #complete on every page. It opens when
// the server's form arrives in #complete-body, and closes when the act has been accepted. If a script sends the act itself
// (the board), it passes the form to ``complete`` and gets the answers.
import { openDialog } from "./modal.js";

const dialog = document.getElementById("complete");
const body = document.getElementById("complete-body");
let asker = null; // the dialog whose form was refused: it stays open below with its text, and closes when the act is done

function open() {
  const fresh = body.querySelector("[data-show]");
  if (!fresh) return false;
  delete fresh.dataset.show; // open once: other swaps may follow before a closing dialog has been emptied
  openDialog(dialog);
  const first = body.querySelector("[aria-invalid]") ?? body.querySelector("[autofocus]");
  first?.focus();
  first?.select?.(); // typing replaces the suggested text
  return true;
}

export const isRefused = (response) => response.status === 422 && response.headers.get("x-gate") === "refused";

// ``send`` gets the answers by the names of their fields; ``gone`` is called when the dialog goes away.
export function complete(html, send, gone) {
  body.innerHTML = html;
  window.htmx.process(body); // its client is searched while typing
  const form = body.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopImmediatePropagation(); // the caller sends the act, not htmx
    const answers = {}; // lists: of several boxes each counts
    for (const [name, value] of new FormData(form, event.submitter)) (answers[name] ??= []).push(value);
    dialog.close();
    send(answers);
  }, true);
  open();
  dialog.onclose = () => { dialog.onclose = null; gone?.(); };
}

document.addEventListener("htmx:after:swap", (event) => {
  if (!body || !open()) return;
  const from = event.detail.ctx.sourceElement?.closest?.("dialog");
  if (from !== dialog) asker = from;
});
document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response } = event.detail.ctx;
  if (sourceElement.matches?.("[data-completes]") && response?.status < 400) { dialog.close(); asker?.close(); }
});
dialog?.addEventListener("close", () => { if (!dialog.open && !body.querySelector("[data-show]")) body.replaceChildren(); }); // unless it shows the next question
dialog?.addEventListener("click", (event) => { if (event.target.closest("a[data-close]")) event.preventDefault(); });
