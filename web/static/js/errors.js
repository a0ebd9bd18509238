// A form that came back refused has the focus on the first field in error; where only the whole form is wrong (a failed log-in),
// on the first field that is empty, else on its first field. With htmx and without it.
const FIELDS = "input:not([type=hidden], [type=radio], [type=checkbox]), textarea, select";
const shown = (elements) => [...elements].find((element) => element.checkVisibility() && !element.disabled);

function firstWrong(root) {
  const field = shown(root.querySelectorAll('[aria-invalid="true"]'));
  if (field) return field;
  const form = root.querySelector("form [role=alert]")?.closest("form");
  if (!form) return null;
  const fields = [...form.querySelectorAll(FIELDS)];
  return shown(fields.filter((one) => !one.value)) ?? shown(fields);
}

firstWrong(document)?.focus();

document.addEventListener("htmx:after:swap", ({ detail }) => {
  if (detail.ctx?.response?.status !== 422) return;
  if (document.activeElement?.matches('[aria-invalid="true"]')) return; // whoever shows the form has seen to it
  firstWrong(document)?.focus();
});
