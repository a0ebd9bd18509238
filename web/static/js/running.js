// <time data-running datetime="…">: counts up from its moment, in the form the server wrote (0:48, 1:02:33). One timer
// for all of them; none while the page is hidden or has no such time. The time is that of the server's clock.
const skew = Date.parse(document.body.dataset.now ?? "") - Date.now() || 0;

function write() {
  for (const time of document.querySelectorAll("time[data-running]")) {
    const seconds = Math.max(0, Math.floor((Date.now() + skew - Date.parse(time.dateTime)) / 1000));
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    const two = (number) => String(number).padStart(2, "0");
    const text = hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(() => { if (!document.hidden) write(); }, 500);
document.addEventListener("visibilitychange", write);
