// How a ringing phone is told of beyond its card: two soft tones, and a notification of the desktop.

// Browsers are silent until one has clicked in a tab, or in the page of ours that led to it.
export const audible = () => Boolean(window.AudioContext && navigator.userActivation?.hasBeenActive);

export function tones() {
  const context = new AudioContext();
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

// What this browser says to notifications: granted, denied, default (not asked yet), none (has none), plain (none without https).
export function allowed() {
  if (!isSecureContext) return "plain";
  return "Notification" in window ? Notification.permission : "none";
}

// Returns what was shown, or null. The words go out as text, never as markup.
export function notify(title, text, tag) {
  if (allowed() !== "granted") return null;
  try {
    const note = new Notification(title, { body: text, tag });
    note.onclick = () => { window.focus(); note.close(); };
    return note;
  } catch { return null; } // Chrome on Android: allowed, but not to pages
}

// Whether a moment lies in hours such as "20:00-08:00, 13:00-14:00"; one that ends before it begins goes on into the next day.
export function quiet(hours, at = new Date()) {
  const minute = 60 * at.getHours() + at.getMinutes();
  return [...(hours ?? "").matchAll(/(\d+):(\d+)-(\d+):(\d+)/g)].some(([, h1, m1, h2, m2]) => {
    const start = 60 * h1 + +m1;
    const end = 60 * h2 + +m2;
    return start < end ? start <= minute && minute < end : minute >= start || minute < end;
  });
}
