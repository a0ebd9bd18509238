// Pushed regions, put together from an outline and parts (web/regions.py). A message contains only what changed; the messages of a
// stream are counted from 1, which is complete.
const MARKER = /<!--part ([\w-]+)-->/g;

export class Regions {
  constructor() { this.known = new Map(); } // region -> { number, outline, parts }

  // A new stream counts from the start. What is known stays until then.
  restart() { for (const state of this.known.values()) state.number = 0; }

  clear() { this.known.clear(); }

  // Takes a message; returns whether the region is complete. If not, a message was lost and the stream must start over.
  take({ region, number, outline, parts }) {
    const before = this.known.get(region) ?? { number: 0, outline: "", parts: {} };
    if (number !== 1 && number !== before.number + 1) return false;
    const now = { number, outline: outline ?? before.outline, parts: {} };
    const had = number === 1 ? {} : before.parts;
    let complete = true;
    for (const [, name] of now.outline.matchAll(MARKER)) {
      now.parts[name] = parts[name] ?? had[name] ?? "";
      complete &&= name in parts || name in had;
    }
    this.known.set(region, now);
    return complete || number === 1; // asking again would not help after a complete message
  }

  // The state of a region as a message for pages.
  push(region) {
    const { outline, parts } = this.known.get(region);
    return { kind: "push", region, outline, parts };
  }

  pushes() { return [...this.known.keys()].map((region) => this.push(region)); }
}

export function whole({ outline, parts }) {
  return outline.replaceAll(MARKER, (_, name) => parts[name]);
}

// The parts of which a page shows something else; null if the whole region must be swapped.
export function changed(before, now) {
  if (before?.outline !== now.outline) return null;
  return Object.keys(now.parts).filter((name) => now.parts[name] !== before.parts[name]);
}
