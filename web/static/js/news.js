// What happens on deals that this person watches, and notes that name them: said at once, in every tab that is open. Several things
// at one moment (a colleague moves many deals) are one sentence that leads to the list of them.
import { say } from "./toasts.js";

const GATHER = 600; // ms
const MOST = 3;
const waiting = new Set();
let timer = 0;

function link(toast, href, word) {
  toast.querySelector(".text").after(Object.assign(document.createElement("a"), { className: "btn small", href, textContent: word }));
}

async function tell(what) {
  const headers = { Accept: "application/json", "Page-Language": document.documentElement.lang };
  const response = await fetch(`/news?what=${encodeURIComponent(what)}`, { headers });
  if (!response.ok) return; // they no longer see the deal
  const said = await response.json();
  if (location.pathname === said.href && !what.startsWith("mention")) return; // the page shows it already
  link(say(`${said.title} · ${said.text}`, what.startsWith("mention") ? "stays" : ""), said.href, said.open);
}

function tellAll() {
  const all = [...waiting];
  waiting.clear();
  const many = all.filter((what) => !what.startsWith("mention"));
  const { sayNews, sayNewsOpen } = document.body.dataset;
  if (many.length > MOST) link(say(sayNews.replace("{n}", String(many.length))), "/watching", sayNewsOpen);
  for (const what of many.length > MOST ? all.filter((one) => one.startsWith("mention")) : all) tell(what).catch(() => {});
}

if (document.body.dataset.user) {
  document.addEventListener("live:hint", ({ detail }) => {
    if (detail.topic !== "news") return;
    waiting.add(detail.ref);
    clearTimeout(timer);
    timer = setTimeout(tellAll, GATHER);
  });
}
