// The list of deals: choosing rows by mouse and keyboard (from row to row: list-table.js).
import "./list-table.js";
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
