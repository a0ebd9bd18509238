// Native dialogs: [data-open="id"] opens one, [data-close] closes the one around it, a click beside it closes it too (modal.js).
// Questions before an act: hx-confirm="…" on htmx elements, data-confirm="…" on plain forms; data-danger colours the answer.
import { openDialog } from "./modal.js";

let answerWith = null;

export function ask(question, danger = false, word = "") {
  const dialog = document.getElementById("confirm");
  const yes = dialog.querySelector('[data-answer="yes"]');
  dialog.querySelector("#confirm-text").textContent = question;
  yes.textContent = word || yes.dataset.word;
  yes.classList.toggle("danger", danger);
  yes.classList.toggle("primary", !danger);
  return new Promise((resolve) => {
    answerWith = resolve;
    dialog.returnValue = "";
    openDialog(dialog);
    dialog.querySelector(`[data-answer="${danger ? "no" : "yes"}"]`).focus();
  });
}

function settle(answer) {
  const resolve = answerWith;
  answerWith = null;
  resolve?.(answer);
}

const confirmation = document.getElementById("confirm");
confirmation?.addEventListener("close", () => settle(false)); // Escape
confirmation?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-answer]");
  if (!button) return;
  settle(button.dataset.answer === "yes");
  confirmation.close();
});

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm || !confirmation) return;
  event.preventDefault();
  const element = ctx.sourceElement;
  ask(ctx.confirm, "danger" in element.dataset, element.dataset.yes).then((yes) => (yes ? issueRequest() : dropRequest()));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || !confirmation || form.dataset.asked) return;
  event.preventDefault();
  const submitter = event.submitter;
  ask(question, "danger" in form.dataset || "danger" in (submitter?.dataset ?? {}), form.dataset.yes).then((yes) => {
    if (!yes) return;
    form.dataset.asked = "yes";
    form.requestSubmit(submitter);
    delete form.dataset.asked;
  });
}, true);

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.open);
    if (dialog) openDialog(dialog);
    opener.closest("details.menu, details.why")?.removeAttribute("open");
    return;
  }
  event.target.closest("[data-close]")?.closest("dialog")?.close();
});
