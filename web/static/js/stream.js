// One live stream to the server, by fetch: unlike EventSource it shows every byte, so that a link which died without
// a word (a sleeping laptop, a lost network) is noticed, and an ended session is told from a server that is away.
const SILENCE = 40000; // the server says something at least every 15 s
const WAIT = [500, 10000];

export class Stream {
  // hear(name, data) is called with what the server says; name "open" and "closed" come from here.
  constructor(hear) {
    this.hear = hear;
    this.open = false;
    this.over = false;
    this.heardAt = 0;
    this.wait = WAIT[0];
    this.timer = 0;
    this.again = null;
    this.connect();
    setInterval(() => this.watch(), 5000);
  }

  watch() {
    if (this.open && Date.now() - this.heardAt > SILENCE) this.abort?.abort();
  }

  // Called when a page wakes up: do not wait for timers that slept along with the machine.
  wake() {
    if (this.over) return;
    if (this.open && Date.now() - this.heardAt > SILENCE / 2) this.abort?.abort();
    if (!this.open && this.again) { this.wait = WAIT[0]; this.again(); }
  }

  async connect() {
    this.abort = new AbortController();
    const patience = setTimeout(() => this.abort.abort(), 15000);
    let why = "lost";
    try {
      const response = await fetch("/live", { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: this.abort.signal });
      clearTimeout(patience);
      if (response.status === 401 || response.status === 403) why = "session";
      else if (response.ok && response.body) why = await this.read(response.body);
    } catch { /* lost: tried again below */ }
    clearTimeout(patience);
    this.open = false;
    if (why === "session") {
      this.over = true;
      this.hear("over", {});
      return;
    }
    if (why !== "old") this.hear("closed", {});
    else this.wait = WAIT[0];
    const pause = this.wait * (0.5 + Math.random());
    this.wait = Math.min(this.wait * 2, WAIT[1]);
    await new Promise((resolve) => { this.again = resolve; this.timer = setTimeout(resolve, pause); });
    clearTimeout(this.timer);
    this.again = null;
    this.connect();
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
    if (name === "hello") { this.open = true; this.wait = WAIT[0]; }
    this.hear(name, said);
    return null;
  }
}
