// The list of deals: choosing rows by mouse and keyboard, going from row to row, and the order of the columns in their dialog.
import { choose, clicked, ticked } from "./chosen.js";

const rows = document.getElementById("deal-rows");
const deals = () => [...rows.querySelectorAll("tr[data-deal]")];

rows?.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-deal]");
  if (!row) return;
  if (event.target.matches("[data-choose]")) return ticked(event.target, event.shiftKey);
  if (clicked(event, row)) event.preventDefault();
});
document.querySelector("[data-choose-all]")?.addEventListener("change", ({ target }) => choose(deals(), target.checked));

rows?.addEventListener("keydown", (event) => {
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  const all = deals();
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
