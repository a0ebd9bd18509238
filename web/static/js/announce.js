// Announces each change of a call once: to screen readers in #dock-says, and in the title of the tab while it rings. The running
// clock is not announced. A newly opened page does not repeat what another page of this tab has announced.
const cards = document.getElementById("dock-cards");
const says = document.getElementById("dock-says");
const said = new Map(JSON.parse(sessionStorage.pbxcrmSaid ?? "[]")); // id of a card -> [its state, its name]
const RINGS = ["ringing", "calling"];

const nameOf = (card) => card.querySelector("[data-dock-title]").textContent.trim();

function stateOf(card) {
  const state = ["ringing", "talking", "after"].find((word) => card.classList.contains(word)) ?? "after";
  return state === "ringing" && card.querySelector("[data-dialled]") ? "calling" : state;
}

// A ringing card disappeared: ask the server whether a colleague answered, the call was missed, or the caller gave up.
async function whyStopped(id) {
  try {
    const headers = { Accept: "text/plain", "Page-Language": document.documentElement.lang };
    const response = await fetch(`/dock/${id.replace("call-", "")}/stopped`, { headers });
    if (response.ok) return await response.text();
  } catch { /* no connection: announce only that it stopped */ }
  return says.dataset.stopped;
}

function changes() {
  const found = [];
  const now = new Map();
  for (const card of cards.querySelectorAll(".callcard")) {
    const [state, name] = [stateOf(card), nameOf(card)];
    now.set(card.id, [state, name]);
    if (said.get(card.id)?.[0] !== state) found.push([says.dataset[state], name]);
  }
  for (const [id, [state, name]] of said) {
    if (!now.has(id)) found.push([RINGS.includes(state) ? whyStopped(id) : says.dataset.gone, name]);
  }
  said.clear();
  for (const [id, what] of now) said.set(id, what);
  sessionStorage.pbxcrmSaid = JSON.stringify([...said]);
  return found;
}

// While it rings, that stands before the title of the page.
let title = null; // the original title
function entitle() {
  const ringing = cards.querySelector(".callcard.ringing:not(:has([data-dialled]))");
  if (!ringing) {
    if (title !== null) document.title = title;
    title = null;
    return;
  }
  title ??= document.title;
  const text = `☎ ${says.dataset.ringing.replace("{name}", nameOf(ringing))} · ${title}`;
  if (document.title !== text) document.title = text;
}

let before = Promise.resolve(); // announcements keep their order, even if an earlier one needs an answer of the server first
function look() {
  const told = changes();
  entitle();
  if (!told.length) return;
  const asked = Promise.all(told.map(async ([sentence, name]) => (await sentence).replace("{name}", () => name)));
  before = before.then(async () => { says.textContent = (await asked).join(". "); });
}

if (cards && says) {
  new MutationObserver(look).observe(cards, { childList: true, subtree: true, attributeFilter: ["class"] });
  look();
}
