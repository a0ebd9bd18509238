// A web form for strangers: on its own page, and on any other site, where this script puts it in place of
//   <div data-pbxcrm-form="KEY"></div>
// It is one file without eval, inline code or anything of others, so it works under a strict content policy that names our address.
// What the server answers is the same whoever asks; no cookie is sent.
(() => {
  const ours = new URL(document.currentScript.src).origin;

  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  // SHA-256 (FIPS 180-4). The browser's own works only over HTTPS, and asynchronously, which is slow for thousands of short texts.
  const ROUND = [];
  const START = [];
  for (let number = 2; ROUND.length < 64; number++) {
    if (!Array.from({ length: number - 2 }, (_, i) => i + 2).every((i) => number % i)) continue;
    if (START.length < 8) START.push((number ** 0.5 * 2 ** 32) | 0);
    ROUND.push((number ** (1 / 3) * 2 ** 32) | 0);
  }
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  function firstWord(text) {
    const length = text.length; // ASCII only
    const words = new Uint32Array(((length + 72) >> 6) << 4);
    for (let i = 0; i < length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
    words[length >> 2] |= 0x80 << (24 - 8 * (length & 3));
    words[words.length - 1] = 8 * length;
    const state = START.slice();
    const w = new Int32Array(64);
    for (let block = 0; block < words.length; block += 16) {
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        if (i < 16) w[i] = words[block + i];
        else {
          const [x, y] = [w[i - 15], w[i - 2]];
          w[i] = (w[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
        }
        const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + w[i]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] = (state[i] + word) | 0; });
    }
    return state[0] >>> 0;
  }

  // The number for which the hash begins with 14 zero bits; in short pieces, so that the page stays smooth.
  const BITS = 14;
  function prove(task) {
    return new Promise((done) => {
      let number = 0;
      (function piece() {
        const until = performance.now() + 8;
        for (; performance.now() < until; number++) {
          if (firstWord(`${task}:${number}`) >>> (32 - BITS) === 0) { done(String(number)); return; }
        }
        setTimeout(piece);
      })();
    });
  }

  function say(form, errors) {
    const wrong = form.querySelector("[data-wrong]");
    const places = new Map([...form.querySelectorAll("[data-field]")].map((place) => [place.dataset.field, place]));
    for (const [name, place] of places) {
      const text = place.querySelector(".error");
      text.textContent = errors[name] ?? "";
      text.hidden = !errors[name];
      for (const input of place.querySelectorAll("input, select, textarea")) {
        if (errors[name]) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    }
    const other = Object.entries(errors).filter(([name]) => !places.has(name)).map(([, text]) => text);
    wrong.textContent = other.join(" ");
    wrong.hidden = !other.length;
    form.querySelector("[aria-invalid]")?.focus();
  }

  function tell(form, text) {
    const wrong = form.querySelector("[data-wrong]");
    wrong.textContent = text;
    wrong.hidden = false;
  }

  function thank(form, answer) {
    if (/^https?:\/\//.test(answer.url ?? "")) { location.assign(answer.url); return; }
    const thanks = new DOMParser().parseFromString(answer.html, "text/html").body.firstElementChild;
    form.replaceWith(thanks);
    thanks.focus();
  }

  async function send(form, state) {
    const data = new FormData(form);
    data.set("key", state.key);
    data.set("page", location.href.slice(0, 500));
    data.set("referrer", document.referrer.slice(0, 500));
    if (state.proof) {
      data.set("proof", form.dataset.task);
      data.set("proof_answer", await state.proof);
    }
    const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    return fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" }, credentials: "omit", referrerPolicy: "no-referrer" });
  }

  function wire(form) {
    const state = { key: random(), proof: null };
    const button = form.querySelector("button[type=submit]");
    const word = button.textContent;
    if (form.dataset.task) form.addEventListener("input", () => { state.proof ??= prove(form.dataset.task); }, { once: true });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      button.textContent = form.dataset.sending;
      if (form.dataset.task) state.proof ??= prove(form.dataset.task);
      try {
        let response = await send(form, state);
        if (response.status === 409) { // sent before, and changed since: it is another request
          state.key = random();
          const fresh = response.headers.get("content-type")?.includes("json") ? (await response.json()).task : "";
          if (fresh) { form.dataset.task = fresh; state.proof = prove(fresh); }
          response = await send(form, state);
        }
        if (response.status === 429) { tell(form, form.dataset.wait); return; }
        const answer = await response.json();
        if (response.ok) { thank(form, answer); return; }
        say(form, answer.errors ?? { "": form.dataset.failed });
      } catch { // no connection, or no answer that can be read; the key stays, so that sending again makes no second request
        tell(form, form.dataset.failed);
      } finally {
        button.disabled = false;
        button.textContent = word;
      }
    });
  }

  async function place(spot) {
    const key = spot.dataset.pbxcrmForm;
    const response = await fetch(`${ours}/f/${encodeURIComponent(key)}/part`, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!response.ok) return; // what stands in the spot (a link to the form's own page) stays
    const form = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("form");
    form.action = new URL(form.getAttribute("action"), ours).href;
    const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${ours}/f/form.css` });
    const inside = spot.attachShadow({ mode: "open" });
    inside.append(sheet, form);
    wire(form);
  }

  document.querySelectorAll("form.pbxform:not([inert])").forEach(wire);
  document.querySelectorAll("[data-pbxcrm-form]").forEach((spot) => { place(spot).catch(() => {}); });
})();
