// Lists of deals, clients and companies: going from row to row by keys, and the order of the columns in their dialog.
const rows = document.querySelector("tbody[data-rows]");

rows?.addEventListener("keydown", (event) => {
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  const all = [...rows.querySelectorAll("tr:has([data-card])")];
  const next = all[all.indexOf(event.target.closest("tr")) + (event.key === "ArrowUp" ? -1 : 1)];
  if (!next) return;
  next.querySelector("[data-card]").focus();
  next.scrollIntoView({ block: "nearest" });
  event.preventDefault();
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-columns] [data-up], [data-columns] [data-down]");
  if (!button) return;
  const item = button.closest("li");
  const other = button.matches("[data-up]") ? item.previousElementSibling : item.nextElementSibling;
  if (!other || other.querySelector("[disabled]")) return; // the deal itself stays first
  if (button.matches("[data-up]")) other.before(item);
  else other.after(item);
  button.focus();
});
