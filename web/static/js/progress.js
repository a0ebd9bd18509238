// A thin progress line for requests that take a while, and a toast if the server does not answer.
import { say } from "./toasts.js";

const line = document.getElementById("progress");
let running = 0;
let timer = 0;

document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.sourceElement.matches("[data-live]") && event.detail.ctx.sourceEvent?.type === "live-refresh") return;
  event.detail.ctx.counted = true;
  running += 1;
  if (running === 1) timer = setTimeout(() => line.classList.add("on"), 150);
});
document.addEventListener("htmx:finally:request", (event) => {
  if (!event.detail.ctx.counted) return;
  running -= 1;
  if (running > 0) return;
  clearTimeout(timer);
  line.classList.remove("on");
});
document.addEventListener("htmx:error", (event) => {
  const ctx = event.detail.ctx;
  if (!ctx || ctx.response || ctx.request.method === "GET") return; // for failed reads the bar already says "not live"
  const slow = ctx.request.signal.reason === "timeout";
  say(slow ? document.body.dataset.saySlow : document.body.dataset.sayOffline, "red");
});
