// A new ringing card: a notification where the person allowed it, and two soft tones where they want to hear it.
// Only one tab does so: whoever gets the lock first. The name goes out as text, never as markup.
const body = document.body.dataset;
const rung = new Set();

function tones() {
  const Context = window.AudioContext;
  if (!Context || !navigator.userActivation?.hasBeenActive) return; // browsers are silent until one has clicked
  const context = new Context();
  const volume = context.createGain();
  volume.gain.value = 0.08;
  volume.connect(context.destination);
  for (const [at, pitch] of [[0, 660], [0.22, 880]]) {
    const tone = context.createOscillator();
    tone.frequency.value = pitch;
    tone.connect(volume);
    tone.start(context.currentTime + at);
    tone.stop(context.currentTime + at + 0.16);
  }
  setTimeout(() => context.close(), 800);
}

function announce(card) {
  const title = card.querySelector("[data-dock-title]").textContent.trim();
  if (body.sound === "on") tones();
  if (document.visibilityState === "visible" || !("Notification" in window) || Notification.permission !== "granted") return;
  const note = new Notification(title, { body: card.querySelector(".state").textContent.replace(/\s+/g, " ").trim(), tag: card.id });
  note.onclick = () => { window.focus(); note.close(); };
}

function look() {
  for (const card of document.querySelectorAll("#dock-cards .callcard.ringing")) {
    if (rung.has(card.id)) continue;
    rung.add(card.id);
    if (navigator.locks) navigator.locks.request(`pbxcrm-ring-${body.user}-${card.id}`, { ifAvailable: true }, (lock) => {
      if (!lock) return null;
      announce(card);
      return new Promise((done) => setTimeout(done, 3000)); // long enough for every other tab to find it taken
    });
    else announce(card);
  }
}

const cards = document.getElementById("dock-cards");
if (cards) {
  new MutationObserver(look).observe(cards, { childList: true, subtree: true });
  look();
}
