// One live stream to the server, read with fetch. Unlike EventSource it shows every byte, so a dead link (a sleeping laptop, a
// lost network) is noticed, and an ended session can be told from a server that is away.
const SILENCE = 40000; // ms; the server sends something at least every 15 s
const PAUSE = [200, 600]; // ms between two tries: a returned server is found within a second, but not by all browsers at once
const LATER = [2000, 5000]; // the same once the server has been away for LONG, or answers that it cannot
const LONG = 120000;
const PATIENCE = [2000, 15000]; // ms to wait for an answer; it grows with each time-out
// After a sleep the browser may use an idle connection that is already dead. So this number of tries has a short time-out and
// no pause in between.
const HURRIED = 2, HURRIED_PATIENCE = 400;
const AWAY = [502, 504]; // the answers of a proxy if the server is not reachable
const BEAT = 1000, SLEPT = 4000; // if the timer fires this late, the machine slept and the link is dead
const JUST_NOW = 300; // ten tabs wake at once: a try that is younger than this is not replaced

export class Stream {
  // hear(name, data) is called for each event of the server, and for "closed" and "over", which this class adds; if it returns true,
  // something was lost and the stream starts over. `language` is that of the pages.
  constructor(hear, language) {
    this.hear = hear;
    this.language = language;
    this.open = false;
    this.over = false;
    this.heardAt = this.triedAt = this.lostAt = 0;
    this.beatAt = Date.now();
    this.patience = PATIENCE[0];
    this.hurry = 0; // remaining quick tries
    this.again = null; // ends the pause between two tries
    this.run();
    this.beats = setInterval(() => this.watch(), BEAT);
  }

  watch() {
    const slept = Date.now() - this.beatAt > SLEPT && !globalThis.document?.hidden; // the timers of a hidden page may be late
    this.beatAt = Date.now();
    if (slept) this.renew();
    else if (this.open && Date.now() - this.heardAt > SILENCE) this.abort.abort();
  }

  // Called when a page becomes visible again.
  wake() {
    if (!this.open || Date.now() - this.heardAt > SILENCE / 2) this.renew();
  }

  // Also called when the network is back: an open stream or request may use a dead link.
  renew() {
    if (this.over || Date.now() - this.triedAt < JUST_NOW) return;
    this.hurry = HURRIED;
    if (this.again) { this.again(); return; }
    this.hurry += 1; // the current try ends with this
    this.abort.abort();
  }

  async run() {
    for (;;) {
      this.triedAt = Date.now();
      const why = await this.listen();
      this.open = false;
      if (why === "session") {
        this.over = true;
        clearInterval(this.beats);
        this.hear("over", {});
        return;
      }
      if (why === "old") continue;
      this.lostAt ||= Date.now();
      this.hear("closed", {});
      if (this.hurry) this.hurry -= 1;
      if (!this.hurry) await this.rest(why === "refused" || Date.now() - this.lostAt > LONG ? LATER : PAUSE);
    }
  }

  async rest([least, most]) {
    await new Promise((resolve) => {
      this.again = resolve;
      setTimeout(resolve, least + (most - least) * Math.random());
    });
    this.again = null;
  }

  // Runs one connection to its end; returns why it ended.
  async listen() {
    this.abort = new AbortController();
    const hurried = this.hurry > 0;
    const impatient = setTimeout(() => {
      if (!hurried) this.patience = Math.min(this.patience * 2, PATIENCE[1]);
      this.abort.abort();
    }, hurried ? HURRIED_PATIENCE : this.patience);
    try {
      const response = await fetch(`/live?language=${this.language}&parts=1`, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: this.abort.signal });
      clearTimeout(impatient);
      if (response.status === 401 || response.status === 403) return "session";
      if (response.ok && response.body) return await this.read(response.body);
      return AWAY.includes(response.status) ? "lost" : "refused";
    } catch { /* the link is lost */ }
    clearTimeout(impatient);
    return "lost";
  }

  async read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "lost";
      this.heardAt = Date.now();
      rest += value;
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const why = this.take(block);
        if (why) { reader.cancel(); return why; }
      }
    }
  }

  take(block) {
    let name = "message";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (!data.length) return null;
    const said = JSON.parse(data.join("\n"));
    if (name === "bye") return said.why;
    if (name === "hello") {
      this.open = true;
      this.lostAt = 0;
      this.hurry = 0;
      this.patience = PATIENCE[0];
    }
    return this.hear(name, said) ? "lost" : null;
  }
}
