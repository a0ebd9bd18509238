// The dock of call cards. In a narrow window it is a sheet at the bottom that folds to one line. It never takes the focus.
import { hold } from "./keep.js";

const dock = document.getElementById("dock");
const fold = dock?.querySelector(".dock-fold");
const nothing = dock?.querySelector("[data-dock-line]").textContent; // as long as there is no card

function retitle() {
  const cards = dock.querySelectorAll(".callcard");
  const all = Number(document.getElementById("dock-phone")?.dataset.cards ?? cards.length); // also those that are not drawn
  const count = dock.querySelector("[data-dock-count]");
  if (count.textContent !== String(all || "")) count.textContent = all || "";
  const line = dock.querySelector("[data-dock-line]");
  const title = cards[0]?.querySelector("[data-dock-title]");
  if (!title) {
    delete dock.dataset.state;
    if (line.textContent !== nothing) line.textContent = nothing;
    return;
  }
  const state = ["ringing", "talking"].find((word) => cards[0].classList.contains(word)) ?? "after";
  if (dock.dataset.state !== state) dock.dataset.state = state;
  const more = all - 1;
  const word = cards[0].dataset.word;
  const text = `${word}${/[?!]$/.test(word) ? "" : ":"} ${title.textContent.trim()}${more > 0 ? ` · ${dock.dataset.more.replace("{n}", more)}` : ""}`;
  if (line.textContent !== text) line.textContent = text;
}

// The state of one's own phone comes with the cards and is also shown in the bar.
function tellPhone() {
  const now = document.getElementById("dock-phone");
  const bar = document.getElementById("line-state");
  if (!now || !bar || bar.dataset.state === now.dataset.state) return;
  if (now.dataset.state === "free" && "dials" in bar.dataset) return; // a command is on its way to the phone
  bar.dataset.state = now.dataset.state;
  // While no PBX is connected, it is unknown whether the phone is free.
  const unknown = now.dataset.state === "free" && document.querySelector("[data-no-pbx], #pbx.pbx-away");
  bar.querySelector("[data-phone-word]").textContent = unknown ? "" : now.dataset.word;
}

if (dock) {
  // If the sheet would cover the page, it starts folded.
  if (matchMedia("(max-width: 1024px)").matches) {
    dock.classList.add("folded");
    fold.setAttribute("aria-expanded", "false");
  }
  fold.addEventListener("click", () => {
    const folded = dock.classList.toggle("folded");
    fold.setAttribute("aria-expanded", String(!folded));
  });
  // "Something else" is replaced by its field, which gets the focus, so that the card counts as in use.
  dock.addEventListener("click", ({ target }) => {
    const details = target.closest(".other > summary")?.parentElement;
    if (details) setTimeout(() => { if (details.open) details.querySelector("input").focus(); });
  });
  // The answer to an action on one card holds all cards, like a push; unsaved input on the others is kept.
  const acts = new WeakMap();
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    if (detail.tasks.some((task) => task.target?.id === "dock-cards" || task.target === "#dock-cards")) acts.set(detail.ctx, hold(dock));
  });
  document.addEventListener("htmx:after:swap", ({ detail }) => acts.get(detail.ctx)?.());
  document.addEventListener("htmx:after:swap", tellPhone); // the bar has been rendered again
  new MutationObserver(() => { retitle(); tellPhone(); }).observe(dock.querySelector("#dock-cards"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state"] });
  retitle();
}
