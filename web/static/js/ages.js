// Ages that update by themselves: <time data-age datetime="…"> counts in minutes, hours and days, in the words of the server
// (formats.span), and an element with data-due gets the classes of data-late when its time comes.
const skew = Date.parse(document.body.dataset.now ?? "") - Date.now() || 0;
const [now, minutes, hours, days] = (document.body.dataset.ageWords ?? "").split("|");
const say = (pattern, n) => pattern.replace("{n}", n).replaceAll(" ", "\u00a0");

function span(ms) {
  const all = Math.max(0, Math.floor(ms / 60000));
  if (all === 0) return now;
  if (all < 60) return say(minutes, all);
  const hour = Math.floor(all / 60);
  if (hour >= 24) return say(days, Math.floor(hour / 24));
  return say(hours, hour) + (all % 60 && hour < 10 ? `\u00a0${say(minutes, all % 60)}` : "");
}

function write() {
  const at = Date.now() + skew;
  for (const time of document.querySelectorAll("time[data-age]")) {
    const text = span(at - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
  for (const one of document.querySelectorAll("[data-due][data-late]")) {
    if (Date.parse(one.dataset.due) <= at) one.classList.add(...one.dataset.late.split(" "));
  }
}
if (now) {
  setInterval(() => { if (!document.hidden) write(); }, 10000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) write(); });
}
