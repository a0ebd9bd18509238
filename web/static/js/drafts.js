// What is typed, ticked and chosen survives a reload: fields of POST forms are stored in this tab by the form's address and name, restored when the
// form appears again with its old values, and deleted after the form was accepted. Passwords and
// searches are not stored; a note of a call card is saved as one types (notes.js).
// Each input that holds text, a number or a time, and what is ticked or chosen.
const NOT_KEPT = ["hidden", "password", "file", "search", "submit", "button", "reset", "image"].map((type) => `:not([type=${type}])`).join("");
const FIELDS = `textarea[name]:not([data-save-to], [data-nodraft]), input[name]${NOT_KEPT}:not([data-nodraft]), select[name]:not([data-nodraft])`;
const PREFIX = "pbxcrm.draft.";
const AGE = 12 * 3600 * 1000;

const formOf = (field) => field.form ?? field.closest("form");
// The form of a rule stores itself (rule-form.js).
const addressOf = (form) => form?.matches("[data-rule-form]") ? null : form?.getAttribute("hx-post") ?? (form?.method === "post" ? form.getAttribute("action") : null);
// The key includes the page: the same form stands on pages of several deals or clients. Forms of one page and one address have a data-draft each.
const keyOf = (form) => `${PREFIX}${location.pathname}${addressOf(form)}${form.dataset.draft ? `#${form.dataset.draft}` : ""}`;
const isTick = (field) => field.matches("[type=checkbox], [type=radio]");
const chosen = (field) => (field.matches("select[multiple]") ? [...field.selectedOptions].map((one) => one.value).join("\n") : isTick(field) ? String(field.checked) : field.value);
const first = (field) => {
  if (isTick(field)) return String(field.defaultChecked);
  if (!field.matches("select")) return field.defaultValue ?? "";
  const selected = [...field.options].filter((one) => one.defaultSelected).map((one) => one.value);
  return field.multiple ? selected.join("\n") : selected.at(-1) ?? field.options[0]?.value ?? "";
};
function fill(field, value) {
  if (isTick(field)) field.checked = value === "true";
  else if (field.matches("select[multiple]")) for (const one of field.options) one.selected = value.split("\n").includes(one.value);
  else field.value = value;
}
// Fields of one name (the rows of a calendar) are told apart by their order, ticks by their value.
function named(form) {
  const counts = {};
  return [...form.querySelectorAll(FIELDS)].filter((field) => formOf(field) === form).map((field) => {
    const name = isTick(field) ? `${field.name}=${field.value}` : field.name;
    counts[name] = (counts[name] ?? -1) + 1;
    return [counts[name] ? `${name}#${counts[name]}` : name, field];
  });
}

function read(key) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return kept && Date.now() - kept.at < AGE ? kept : null;
  } catch { return null; }
}

function write(form) {
  const fields = {};
  for (const [name, field] of named(form)) if (chosen(field) !== first(field)) fields[name] = { value: chosen(field), was: first(field) };
  try {
    if (Object.keys(fields).length) sessionStorage.setItem(keyOf(form), JSON.stringify({ at: Date.now(), fields }));
    else sessionStorage.removeItem(keyOf(form));
  } catch { /* storage is full: the draft is not stored */ }
}

function restore(root) {
  const forms = root.matches?.("form") ? [root] : [...root.querySelectorAll("form")];
  for (const form of forms) {
    if (!addressOf(form) || form.dataset.drafted) continue;
    form.dataset.drafted = "";
    const kept = read(keyOf(form));
    if (!kept) continue;
    for (const [name, field] of named(form)) {
      const found = kept.fields[name];
      // If the record has changed meanwhile, its current value wins.
      if (!found || first(field) !== found.was) continue;
      fill(field, found.value);
      field.closest("details.fold")?.setAttribute("open", "");
    }
  }
}

document.addEventListener("input", ({ target }) => {
  const form = target.matches?.(FIELDS) && formOf(target);
  if (form && addressOf(form) && !form.querySelector("[type=password]")) write(form);
});
document.addEventListener("htmx:after:request", ({ detail }) => {
  // Only a submit of the form counts, not requests of its parts (owner of a number, choice of a client).
  // A button with data-sends-form submits the form's fields to another address.
  const source = detail.ctx.sourceElement;
  const form = source?.matches?.("[data-sends-form]") ? source.closest("form") : source;
  if (form?.matches?.("form") && addressOf(form) && detail.ctx.response?.status < 400) sessionStorage.removeItem(keyOf(form));
});
// A form that is sent without htmx: the next page is the answer, and a refused form contains the typed text.
document.addEventListener("submit", ({ target }) => {
  if (addressOf(target) && !target.hasAttribute("hx-post")) sessionStorage.removeItem(keyOf(target));
});
document.addEventListener("reset", ({ target }) => { if (addressOf(target)) sessionStorage.removeItem(keyOf(target)); });
document.addEventListener("click", ({ target }) => {
  const form = target.closest?.("a.btn.ghost, [data-close]")?.closest("form"); // "Cancel"
  if (form && addressOf(form)) sessionStorage.removeItem(keyOf(form));
});
document.addEventListener("htmx:after:swap", ({ target }) => restore(target.isConnected ? target : document));
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1 && node.querySelector?.("form")) restore(node);
}).observe(document.body, { childList: true, subtree: true });
restore(document);
