// In a refused form the first field with an error gets the focus. If the error is about the whole form (a failed log-in), the
// first empty field gets it, else the first field; a question in the message (autofocus) comes before both. Where that field is so far
// below that the message would leave the window, the message gets the focus: it must be seen. With htmx and without it.
const FIELDS = "input:not([type=hidden], [type=radio], [type=checkbox]), textarea, select";
const shown = (elements) => [...elements].find((element) => element.checkVisibility() && !element.disabled);

function firstWrong(root) {
  const field = shown(root.querySelectorAll('[aria-invalid="true"]'));
  if (field) return field;
  const alert = root.querySelector("form [role=alert]");
  const form = alert?.closest("form");
  if (!form) return null;
  const asked = alert.querySelector("[autofocus]");
  if (asked) return asked;
  const fields = [...form.querySelectorAll(FIELDS)];
  const next = shown(fields.filter((one) => !one.value)) ?? shown(fields);
  if (next && next.getBoundingClientRect().bottom - alert.getBoundingClientRect().top < innerHeight / 2) return next;
  alert.tabIndex = -1;
  return alert;
}

firstWrong(document)?.focus();

document.addEventListener("htmx:after:swap", ({ detail }) => {
  if (detail.ctx?.response?.status !== 422) return;
  if (document.activeElement?.matches('[aria-invalid="true"]')) return; // the code that shows the form has already set the focus
  firstWrong(document)?.focus();
});
