// Keeps the state of a stream, so that a page that joins late gets what it missed. Used by the shared worker, by the leading
// tab, and by a tab that works alone.
import { Regions } from "./regions.js";
import { Stream } from "./stream.js";

const REMEMBERED = 300;

export class Switchboard {
  // tell(message) reaches every page. All of them are in one `language`: pages in another have a switchboard of their own.
  constructor(tell, language) {
    this.tell = tell;
    this.language = language;
    this.hints = [];
    this.regions = new Regions();
    this.live = "connecting";
    this.last = 0;
    this.version = ""; // of the server's scripts, styles and templates
    this.begin();
  }

  begin() {
    this.stream = new Stream((name, data) => this.hear(name, data), this.language);
  }

  // Returns whether the stream must start over, because it lost something.
  hear(name, data) {
    if (name === "hello") {
      this.regions.restart();
      // After a gap it is unknown what was missed: pages load all their live regions again.
      const missed = this.live === "offline" || (this.last > 0 && data.last > this.last);
      this.last = Math.max(this.last, data.last);
      this.live = data.live;
      this.version = data.version;
      this.tell({ kind: "state", live: this.live, version: this.version });
      this.tell({ kind: missed ? "refresh" : "hello", last: data.last });
    } else if (name === "hint") {
      this.hints.push(...data);
      this.hints.splice(0, this.hints.length - REMEMBERED);
      for (const hint of data) this.last = Math.max(this.last, hint.id);
      this.tell({ kind: "hints", hints: data });
    } else if (name === "push") {
      if (!this.regions.take(data)) return true;
      this.tell(this.regions.push(data.region));
    } else if (name === "state") {
      const back = this.live === "offline" && data.live === "ok";
      this.live = data.live;
      this.tell({ kind: "state", live: data.live });
      if (back) this.tell({ kind: "refresh", last: this.last });
    } else if (name === "closed") {
      if (this.live === "offline") return false; // already sent: each page counts from the first message
      this.live = "offline";
      this.tell({ kind: "state", live: "offline" });
    } else if (name === "over") {
      this.tell({ kind: "over" });
    }
    return false;
  }

  // A page joins: send it the earlier state that it needs. `heard`: the last event that its server knew when it was rendered.
  join(heard) {
    if (this.stream.over) { // somebody has logged in since, else the server would not have served the page
      this.regions.clear();
      this.begin();
    }
    const messages = [{ kind: "state", live: this.live, version: this.version }];
    const missed = this.hints.filter((hint) => hint.id > heard);
    if (missed.length) messages.push({ kind: "hints", hints: missed });
    return [...messages, ...this.regions.pushes()];
  }

  wake(why) {
    if (why === "online") this.stream.renew();
    else this.stream.wake();
  }
}
