// <details class="menu|why">: only one open at a time, closed by Escape (focus goes back) and by a click elsewhere.
const POPS = "details.menu[open], details.why[open]";

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(POPS)) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = event.target.closest?.(POPS) ?? document.querySelector(POPS);
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
  event.stopPropagation();
});
document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (!details.open || !details.matches("details.menu, details.why")) return;
  const pop = details.querySelector(".pop");
  // What is said of a lamp is loaded each time somebody asks.
  if (details.dataset.load) window.htmx.ajax("GET", details.dataset.load, { target: pop, swap: "innerHTML" });
  // A popover that would leave the window opens to the other side.
  const box = pop.getBoundingClientRect();
  if (box.right > innerWidth - 4 || box.left < 4) {
    const toEnd = box.left < 4;
    pop.style.insetInlineStart = toEnd ? "0" : "auto";
    pop.style.insetInlineEnd = toEnd ? "auto" : "0";
  }
  pop.scrollIntoView({ block: "nearest" }); // if it opens below the visible part of its scroll container
}, true);
