// What a call does is said once and in words: to screen readers in #dock-says, and in the tab's title while it rings. Only a change
// of state is said, never the clock; a page that opens does not say again what another page of this tab has said.
const cards = document.getElementById("dock-cards");
const says = document.getElementById("dock-says");
const said = new Map(JSON.parse(sessionStorage.pbxcrmSaid ?? "[]")); // id of a card -> [its state, its name]
const RINGS = ["ringing", "calling"];

const nameOf = (card) => card.querySelector("[data-dock-title]").textContent.trim();

function stateOf(card) {
  const state = ["ringing", "talking", "after"].find((word) => card.classList.contains(word)) ?? "after";
  return state === "ringing" && card.querySelector("[data-dialled]") ? "calling" : state;
}

// A card that rang and is gone: answered by a colleague, missed, or given up by the caller? The server knows.
async function whyStopped(id) {
  try {
    const headers = { Accept: "text/plain", "Page-Language": document.documentElement.lang };
    const response = await fetch(`/dock/${id.replace("call-", "")}/stopped`, { headers });
    if (response.ok) return await response.text();
  } catch { /* no connection: only that it stopped is known */ }
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

// Ringing stands before the page's own title, which comes back with the end of it.
let title = null; // what stood there
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

let before = Promise.resolve(); // one after the other: what comes later is said later, also where the first had to be asked for
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
