// The week of tasks: drag a task to another day, or press Alt and an arrow while it has the focus. The server answers a later
// day with the dialog that puts the task off, and until that is accepted the task stands where it was.
let moved = null; // {item, from, before}: what to put back when the server does not take it

const move = async (item, values) => {
  await window.htmx.ajax("POST", `/tasks/${item.dataset.task}/plan`, { values, swap: "innerHTML", target: "#ask-body" });
};

document.addEventListener("htmx:after:request", (event) => {
  const { request, response } = event.detail.ctx;
  if (!moved || !request?.action?.endsWith("/plan") || !response) return;
  const { item, from, before } = moved;
  moved = null;
  if ((response.status < 400 && response.headers.get("HX-Retarget")) || !from.isConnected) return; // a toast says that it was moved
  from.insertBefore(item, before?.parentNode === from ? before : null);
  item.querySelector("a").focus(); // the dialog gives the focus back to it
});

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
      onStart: ({ item, from }) => { moved = { item, from, before: item.nextElementSibling }; },
      onEnd: ({ item, from, to }) => { if (to !== from) move(item, { day: to.dataset.day }); else moved = null; },
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
  moved = { item: task, from: task.parentNode, before: task.nextElementSibling };
  if (next) { next.append(task); task.querySelector("a").focus(); }
  else document.getElementById("page")?.focus(); // it goes to another week, and the next press must not move another task
  move(task, { by });
});
