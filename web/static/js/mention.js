// <textarea data-mention="Name|Name">: after "@" the people whom a note may name; arrows choose, Enter and Tab take one, Escape closes.
const open = new WeakMap(); // textarea -> the list under it

function typed(area) {
  const before = area.value.slice(0, area.selectionStart);
  const sign = before.lastIndexOf("@");
  if (sign < 0 || /[\p{L}\p{N}._-]$/u.test(before.slice(0, sign))) return null;
  const word = before.slice(sign + 1);
  return word.includes("\n") || word.length > 40 ? null : { sign, word: word.toLowerCase() };
}

function close(area) {
  open.get(area)?.remove();
  open.delete(area);
  area.removeAttribute("aria-activedescendant");
}

function show(area) {
  close(area);
  const at = typed(area);
  if (!at) return;
  const names = area.dataset.mention.split("|").filter(Boolean);
  const found = names.filter((name) => name.toLowerCase().split(" ").some((part, n, all) => all.slice(n).join(" ").startsWith(at.word))).slice(0, 8);
  if (!found.length || names.some((name) => name.toLowerCase() === at.word)) return;
  const list = Object.assign(document.createElement("div"), { className: "found mentions", id: "mentions" });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", area.getAttribute("aria-label"));
  found.forEach((name, n) => {
    const item = Object.assign(document.createElement("div"), { className: "item", id: `mention-${n}`, textContent: name });
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(n === 0));
    item.addEventListener("mousedown", (event) => { event.preventDefault(); take(area, name); });
    list.append(item);
  });
  area.after(list);
  open.set(area, list);
  area.setAttribute("aria-activedescendant", "mention-0");
}

function take(area, name) {
  const at = typed(area);
  if (!at) return;
  area.setRangeText(`${name} `, at.sign + 1, area.selectionStart, "end");
  close(area);
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", ({ target }) => { if (target.matches?.("[data-mention]")) show(target); });
document.addEventListener("focusout", ({ target }) => { if (open.has(target)) close(target); });
document.addEventListener("keydown", (event) => {
  const area = event.target;
  const list = open.get(area);
  if (!list || event.isComposing) return;
  const items = [...list.children];
  const here = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = (here + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
    items[here].setAttribute("aria-selected", "false");
    items[next].setAttribute("aria-selected", "true");
    area.setAttribute("aria-activedescendant", items[next].id);
  } else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") take(area, items[here].textContent);
  else if (event.key === "Escape") close(area);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// A key of the page that puts the cursor into a field: <button data-key="n" data-focuses="selector">.
document.addEventListener("click", ({ target }) => {
  const field = target.dataset?.focuses && document.querySelector(target.dataset.focuses);
  if (!field) return;
  field.scrollIntoView({ block: "nearest" });
  field.focus();
});
