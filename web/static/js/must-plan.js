// After a failed attempt the page of a deal cannot be left before its next task is set: links lead to the form of the new task
// instead, and closing the tab asks for confirmation. Everything else on the page works as usual.
import { say } from "./toasts.js";

const must = () => document.querySelector("[data-must-plan]");

function planFirst(event) {
  event.preventDefault();
  event.stopPropagation();
  say(must().dataset.mustPlan, "red");
  const title = document.querySelector('form:is(.task-form, [action="/tasks/new"]) [name="title"]:not([type="hidden"])');
  title?.closest("details")?.setAttribute("open", "");
  title?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || !must() || link.target || event.ctrlKey || event.metaKey) return;
  const to = new URL(link.href, location.href);
  const stays = to.pathname === location.pathname || to.pathname.startsWith("/tasks/") || to.protocol !== location.protocol;
  if (!stays) planFirst(event);
}, true);

let sent = false; // the form of the new task is being sent
document.addEventListener("submit", (event) => {
  const to = new URL(event.target.action || location.href, location.href).pathname;
  if (to.startsWith("/tasks/") || event.target.matches("[data-completes]")) sent = true;
}, true);
addEventListener("beforeunload", (event) => {
  if (must() && !sent) event.preventDefault();
});
