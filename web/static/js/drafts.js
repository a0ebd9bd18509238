// Typed text survives a reload: fields of POST forms are stored in this tab by the form's address and name, restored when the
// form appears again with its old values, and deleted after the form was accepted. Passwords and
// searches are not stored; a note of a call card is saved as one types (notes.js).
const FIELDS = "textarea[name]:not([data-save-to]), input[name]:is(:not([type]), [type=text], [type=tel], [type=email], [type=number], [type=datetime-local]), select[name]";
const PREFIX = "pbxcrm.draft.";
const AGE = 12 * 3600 * 1000;

const formOf = (field) => field.form ?? field.closest("form");
const addressOf = (form) => form?.getAttribute("hx-post") ?? (form?.method === "post" ? form.getAttribute("action") : null);
// The key includes the page: the same form stands on pages of several deals or clients.
const keyOf = (form) => `${PREFIX}${location.pathname}${addressOf(form)}`;
const first = (field) => (field.matches("select") ? [...field.options].find((one) => one.defaultSelected)?.value ?? field.options[0]?.value : field.defaultValue) ?? "";

function read(key) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return kept && Date.now() - kept.at < AGE ? kept : null;
  } catch { return null; }
}

function write(form) {
  const fields = {};
  for (const field of form.querySelectorAll(FIELDS)) {
    if (formOf(field) === form && field.value !== first(field)) fields[field.name] = { value: field.value, was: first(field) };
  }
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
    for (const field of form.querySelectorAll(FIELDS)) {
      const found = kept.fields[field.name];
      // If the record has changed meanwhile, its current value wins.
      if (!found || field.value !== found.was || field.matches("[data-nodraft]")) continue;
      field.value = found.value;
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
