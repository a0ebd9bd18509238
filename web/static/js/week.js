// The week of tasks: drag a task to another day, or press Alt and an arrow while it has the focus.
const move = async (task, values) => {
  await window.htmx.ajax("POST", `/tasks/${task}/plan`, { values, swap: "none", target: "#week" });
};

// Beside the dock the end of a full week is out of sight: begin where today is seen.
const list = document.querySelector("ol.week");
const today = list?.querySelector(".today");
if (today) new ResizeObserver(() => { list.scrollLeft += Math.max(0, today.getBoundingClientRect().right - list.getBoundingClientRect().right + 4); }).observe(list);

// With the mouse at once; with a finger after it has rested on the task, so that a swipe scrolls as everywhere.
function arm() {
  for (const day of document.querySelectorAll("[data-day]")) {
    if (!window.Sortable || window.Sortable.get(day)) continue;
    window.Sortable.create(day, {
      group: "week", sort: false, draggable: "[data-movable]", animation: 120, delay: 160, delayOnTouchOnly: true, touchStartThreshold: 6,
      onEnd: ({ item, from, to }) => { if (to !== from) move(item.dataset.task, { day: to.dataset.day }); },
    });
  }
}
if (document.readyState === "complete") arm();
else addEventListener("load", arm);
document.addEventListener("htmx:after:swap", arm);

document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: "-1", ArrowRight: "1" }[event.key];
  const task = event.target.closest?.("[data-movable]");
  if (!by || !event.altKey || !task) return;
  event.preventDefault();
  const days = [...document.querySelectorAll("[data-day]")];
  const next = days[days.indexOf(task.closest("[data-day]")) + Number(by)];
  if (next) { next.append(task); task.querySelector("a").focus(); }
  else document.getElementById("page")?.focus(); // it goes to another week, and the next press must not move another task
  move(task.dataset.task, { by });
});
