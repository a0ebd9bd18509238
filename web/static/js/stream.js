// One live stream to the server, by fetch: unlike EventSource it shows every byte, so that a link which died without
// a word (a sleeping laptop, a lost network) is noticed, and an ended session is told from a server that is away.
const SILENCE = 40000; // ms; the server says something at least every 15 s
const PAUSE = [200, 600]; // between two tries: whoever is back is found within a second, and not by all browsers at once
const LATER = [2000, 5000]; // the same once the server has been away for LONG, or answers that it cannot
const LONG = 120000;
const PATIENCE = [2000, 15000]; // for an answer: each that does not come makes the next longer
// After a sleep the browser may ask over an idle connection that is dead without knowing it: so many tries are given up soon, and
// follow each other at once.
const HURRIED = 2, HURRIED_PATIENCE = 400;
const AWAY = [502, 504]; // what a proxy in between says of a server that is not there
const BEAT = 1000, SLEPT = 4000; // a beat that comes so late has slept, and the link with it
const JUST_NOW = 300; // ten tabs wake at once: a try so young is not given up for another one

export class Stream {
  // hear(name, data) is called with what the server says; name "closed" and "over" come from here. `language` is that of the pages.
  constructor(hear, language) {
    this.hear = hear;
    this.language = language;
    this.open = false;
    this.over = false;
    this.heardAt = this.triedAt = this.lostAt = 0;
    this.beatAt = Date.now();
    this.patience = PATIENCE[0];
    this.hurry = 0; // hurried tries that are left
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

  // Called when a page is looked at again.
  wake() {
    if (!this.open || Date.now() - this.heardAt > SILENCE / 2) this.renew();
  }

  // Called when the network is back, too: what is open or under way may hang on a link that is no more.
  renew() {
    if (this.over || Date.now() - this.triedAt < JUST_NOW) return;
    this.hurry = HURRIED;
    if (this.again) { this.again(); return; }
    this.hurry += 1; // the one under way ends with it
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

  // From one connection to its end; says why it ended.
  async listen() {
    this.abort = new AbortController();
    const hurried = this.hurry > 0;
    const impatient = setTimeout(() => {
      if (!hurried) this.patience = Math.min(this.patience * 2, PATIENCE[1]);
      this.abort.abort();
    }, hurried ? HURRIED_PATIENCE : this.patience);
    try {
      const response = await fetch(`/live?language=${this.language}`, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: this.abort.signal });
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
    this.hear(name, said);
    return null;
  }
}
