// The week of tasks: drag a task to another day, or press Alt and an arrow while it has the focus.
const move = async (task, values) => {
  await window.htmx.ajax("POST", `/tasks/${task}/plan`, { values, swap: "none", target: "#week" });
};
let held = null;

// Beside the dock the end of a full week is out of sight: begin where today is seen.
const list = document.querySelector("ol.week");
const today = list?.querySelector(".today");
if (today) new ResizeObserver(() => { list.scrollLeft += Math.max(0, today.getBoundingClientRect().right - list.getBoundingClientRect().right + 4); }).observe(list);

document.addEventListener("dragstart", (event) => {
  held = event.target.closest?.("[data-task][draggable]");
  if (held) event.dataTransfer.setData("text/plain", held.dataset.task);
});
document.addEventListener("dragover", (event) => {
  if (held && event.target.closest("[data-day]")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const day = event.target.closest("[data-day]");
  if (!held || !day) return;
  event.preventDefault();
  const task = held;
  held = null;
  if (task.closest("[data-day]") === day) return;
  day.append(task);
  move(task.dataset.task, { day: day.dataset.day });
});
document.addEventListener("dragend", () => { held = null; });
document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: "-1", ArrowRight: "1" }[event.key];
  const task = event.target.closest?.("[data-task][draggable]");
  if (!by || !event.altKey || !task) return;
  event.preventDefault();
  const days = [...document.querySelectorAll("[data-day]")];
  const next = days[days.indexOf(task.closest("[data-day]")) + Number(by)];
  if (next) { next.append(task); task.querySelector("a").focus(); }
  move(task.dataset.task, { by });
});
