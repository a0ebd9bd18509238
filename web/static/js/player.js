// Recordings: only one plays at a time, a region with a playing one is not swapped, and if one cannot be played, the text of
// the server says why.
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  event.target.closest("[data-player]")?.setAttribute("data-busy", "");
}, true);
for (const name of ["pause", "ended"]) {
  document.addEventListener(name, (event) => event.target.closest?.("[data-player]")?.removeAttribute("data-busy"), true);
}
document.addEventListener("error", async (event) => {
  const player = event.target.closest?.("[data-player]");
  if (!player || event.target.tagName !== "AUDIO") return;
  const trouble = player.querySelector("[data-trouble]");
  let said = document.body.dataset.sayOffline;
  try {
    const response = await fetch(event.target.src, { method: "HEAD", headers: { Accept: "application/problem+json" } });
    if (response.ok) said = trouble.dataset.format ?? said;
    else {
      const answer = await fetch(event.target.src, { headers: { Accept: "application/problem+json", Range: "bytes=0-0" } });
      said = (await answer.json()).detail ?? said;
    }
  } catch { /* no connection */ }
  trouble.textContent = said;
  trouble.hidden = false;
}, true);
