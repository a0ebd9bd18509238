// Alerts for a ringing phone besides its card: two soft tones, and a desktop notification.

// Browsers play no sound before a click in the tab, or in the page of ours that opened it.
export const audible = () => Boolean(window.AudioContext && navigator.userActivation?.hasBeenActive);

// Making one blocks the page (30 ms on the test machine) when a card has just come. So it is kept, and suspended between two rings.
let context = null;
let resting = 0;

export function tones() {
  context ??= new AudioContext();
  clearTimeout(resting);
  context.resume();
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
  resting = setTimeout(rest, 800);
}

function rest() {
  if (context.state === "running") { context.suspend(); return; }
  context.close(); // it could not play, so the tones still wait in it
  context = null;
}

// The permission for notifications in this browser: granted, denied, default (not asked yet), none (has none), plain (none without https).
export function allowed() {
  if (!isSecureContext) return "plain";
  return "Notification" in window ? Notification.permission : "none";
}

// Returns the notification, or null. Its texts are plain text, never markup.
export function notify(title, text, tag) {
  if (allowed() !== "granted") return null;
  try {
    const note = new Notification(title, { body: text, tag });
    note.onclick = () => { window.focus(); note.close(); };
    return note;
  } catch { return null; } // Chrome on Android allows notifications, but not from pages
}

// Whether a moment lies in hours such as "20:00-08:00, 13:00-14:00"; a span that ends before it begins continues on the next day.
export function quiet(hours, at = new Date()) {
  const minute = 60 * at.getHours() + at.getMinutes();
  return [...(hours ?? "").matchAll(/(\d+):(\d+)-(\d+):(\d+)/g)].some(([, h1, m1, h2, m2]) => {
    const start = 60 * h1 + +m1;
    const end = 60 * h2 + +m2;
    return start < end ? start <= minute && minute < end : minute >= start || minute < end;
  });
}
