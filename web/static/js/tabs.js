// Coordination among the tabs of one person.
const me = document.body.dataset.user;
const LATE = 3000; // ms after which every tab has seen the same event
const FOCUS = `pbxcrm-focus-${me}`;
const USED = `pbxcrm-used-${me}`;
const tab = (sessionStorage.pbxcrmTab ??= String(Math.random()));

// Calls `act` in the first tab that asks for `what`; in other tabs only after `over` and a short delay.
export function inOneTab(what, over, act) {
  if (!navigator.locks) { if (localStorage.getItem(USED) === tab) act(); return; }
  navigator.locks.request(`pbxcrm-${me}-${what}`, { ifAvailable: true }, (lock) => {
    if (!lock) return null;
    act();
    return Promise.all([over, new Promise((done) => setTimeout(done, LATE))]);
  });
}

// Whether one of the tabs is active: the tab with the focus holds a lock that the others can see.
export async function attended() {
  if (document.hasFocus()) return true;
  const { held } = await navigator.locks.query();
  return held.some(({ name }) => name === FOCUS);
}

let leave = null;
function attend(here) {
  if (here === Boolean(leave)) return;
  leave?.();
  leave = null;
  if (!here) return;
  const left = new Promise((done) => { leave = done; });
  navigator.locks.request(FOCUS, { mode: "shared" }, () => left);
}
if (me && navigator.locks) {
  for (const kind of ["focus", "blur", "pageshow"]) addEventListener(kind, () => attend(document.hasFocus()));
  addEventListener("pagehide", () => attend(false));
  attend(document.hasFocus());
}

// Plain HTTP has no locks: the tab that was used last counts.
function use() {
  if (navigator.userActivation?.hasBeenActive) localStorage.setItem(USED, tab);
}
if (me && !navigator.locks) {
  for (const kind of ["focus", "click", "keyup"]) addEventListener(kind, use, true);
  use();
}
