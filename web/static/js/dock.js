// The dock of call cards: on a narrow window a sheet from below that folds to one line. It never takes the focus.
import { hold } from "./keep.js";

const dock = document.getElementById("dock");
const fold = dock?.querySelector(".dock-fold");

function retitle() {
  const cards = dock.querySelectorAll(".callcard");
  const count = dock.querySelector("[data-dock-count]");
  if (count.textContent !== String(cards.length || "")) count.textContent = cards.length || "";
  const title = cards[0]?.querySelector("[data-dock-title]");
  if (!title) return;
  const state = ["ringing", "talking"].find((word) => cards[0].classList.contains(word)) ?? "after";
  if (dock.dataset.state !== state) dock.dataset.state = state;
  const line = dock.querySelector("[data-dock-line]");
  const more = Number(document.getElementById("dock-phone")?.dataset.cards ?? cards.length) - 1;
  const word = cards[0].dataset.word;
  const text = `${word}${/[?!]$/.test(word) ? "" : ":"} ${title.textContent.trim()}${more > 0 ? ` · ${dock.dataset.more.replace("{n}", more)}` : ""}`;
  if (line.textContent !== text) line.textContent = text;
}

// What one's own phone does, as the cards' own answer says it, stands in the bar, too.
function tellPhone() {
  const now = document.getElementById("dock-phone");
  const bar = document.getElementById("line-state");
  if (!now || !bar || bar.dataset.state === now.dataset.state) return;
  if (now.dataset.state === "free" && "dials" in bar.dataset) return; // an order is on its way to the phone
  bar.dataset.state = now.dataset.state;
  // Nobody knows that a phone is free while no PBX is heard.
  const unknown = now.dataset.state === "free" && document.querySelector("[data-no-pbx], #pbx.pbx-away");
  bar.querySelector("[data-phone-word]").textContent = unknown ? "" : now.dataset.word;
}

if (dock) {
  // Where the sheet would cover the page it begins as its one line.
  if (matchMedia("(max-width: 1024px)").matches) {
    dock.classList.add("folded");
    fold.setAttribute("aria-expanded", "false");
  }
  fold.addEventListener("click", () => {
    const folded = dock.classList.toggle("folded");
    fold.setAttribute("aria-expanded", String(!folded));
  });
  // "Something else" makes way for its field: the focus goes there, and with it the card stays in hand.
  dock.addEventListener("click", ({ target }) => {
    const details = target.closest(".other > summary")?.parentElement;
    if (details) setTimeout(() => { if (details.open) details.querySelector("input").focus(); });
  });
  // An act on one card is answered with all of them, like a push: what is in hand on the others stays there.
  const acts = new WeakMap();
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    if (detail.tasks.some((task) => task.target?.id === "dock-cards" || task.target === "#dock-cards")) acts.set(detail.ctx, hold(dock));
  });
  document.addEventListener("htmx:after:swap", ({ detail }) => acts.get(detail.ctx)?.());
  document.addEventListener("htmx:after:swap", tellPhone); // the bar has been drawn anew
  new MutationObserver(() => { retitle(); tellPhone(); }).observe(dock.querySelector("#dock-cards"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state"] });
  retitle();
}
