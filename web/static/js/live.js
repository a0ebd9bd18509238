// Live regions of a page: data-live="deal task" or, for one row, data-live="deal:12".
//
// A hint for a region loads it again, once for several hints that come together: by its own hx-get with
// hx-trigger="live-refresh" if it has one, else by loading this page again and taking the region from it (it needs an id).
// A region that is in use (text is typed, a menu or dialog is open) is refreshed later.
import { back, over, running } from "./session.js";
import { keeping } from "./keep.js";
import { changed, whole } from "./regions.js";
import { Switchboard } from "./switchboard.js";

const GATHER = 60; // ms during which hints are gathered
const REST = 400; // ms between two refreshes of one region
const me = document.body.dataset.user;
const language = document.documentElement.lang; // pushed HTML has the language of this page; other tabs may use another one
const due = new Set();
const restUntil = new WeakMap();
let timer = 0;

function follows(region, hint) {
  return region.dataset.live.split(/\s+/).some((word) => word === hint.topic || word === `${hint.topic}:${hint.ref}`);
}

function busy(region) {
  const active = document.activeElement;
  const typing = active && region.contains(active) && active.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  return typing || region.querySelector("details.menu[open], details.why[open], dialog[open], .sortable-chosen, [data-busy]");
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(flush, ms);
}

async function flush() {
  const bare = [];
  let wait = 0;
  for (const region of [...due]) {
    if (!region.isConnected) { due.delete(region); continue; }
    const rest = (restUntil.get(region) ?? 0) - Date.now();
    if (rest > 0 || busy(region)) { wait = Math.max(wait, rest > 0 ? rest : 700); continue; }
    due.delete(region);
    restUntil.set(region, Date.now() + REST);
    if (region.matches("[hx-get]")) region.dispatchEvent(new CustomEvent("live-refresh"));
    else if (region.id) bare.push(region);
  }
  if (due.size) later(wait || REST);
  if (bare.length) await reload(bare);
}

function postpone(region) {
  due.add(region);
  later(700);
}

// If somebody began to type between request and answer, the answer is dropped and requested again later.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const region = ctx.sourceElement;
  if (ctx.sourceEvent?.type !== "live-refresh" || !busy(region)) return;
  event.preventDefault();
  postpone(region);
});

async function reload(regions) {
  try {
    const response = await fetch(location.href, { headers: { "HX-Request": "true", "HX-Request-Type": "full", "Page-Language": language, Accept: "text/html" } });
    if (!response.ok) return;
    const text = await response.text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const region of regions) {
      const found = fresh.getElementById(region.id);
      if (!found) continue;
      if (busy(region)) { postpone(region); continue; } // became busy since the request
      await window.htmx.swap({ text: found.outerHTML, target: region, swap: "outerMorph", sourceElement: region });
    }
  } catch { /* the bar says that the page is not live; the next hint or reconnect tries again */ }
}

function hear(message) {
  if (message.kind === "hints") {
    for (const hint of message.hints) {
      for (const region of document.querySelectorAll("[data-live]")) if (follows(region, hint)) due.add(region);
      document.dispatchEvent(new CustomEvent("live:hint", { detail: hint }));
    }
    if (due.size) later(GATHER);
  } else if (message.kind === "refresh") {
    for (const region of document.querySelectorAll("[data-live]")) due.add(region);
    document.dispatchEvent(new CustomEvent("live:refresh-all"));
    later(GATHER);
  } else if (message.kind === "hello") {
    // The first stream of this page: something may have happened between the page and the stream.
    if (message.last > Number(document.body.dataset.heard)) hear({ kind: "refresh" });
  } else if (message.kind === "push") {
    show(message);
    document.dispatchEvent(new CustomEvent("live:push", { detail: message }));
  } else if (message.kind === "state") {
    state(message.live);
    if (message.version) running(message.version);
  } else if (message.kind === "over") {
    state("offline");
    over();
  }
}

// Shows a pushed region. If its outline is the same, only the parts that changed are swapped: a card that is being written in is not
// touched when another one changes.
const shown = new WeakMap(); // element of a region -> the message that it shows
function show(message) {
  const region = document.querySelector(`[data-region="${CSS.escape(message.region)}"]`);
  if (!region) return;
  const morph = (target, text) => keeping(target, () => window.htmx.swap({ text, target, swap: "innerMorph", sourceElement: target }));
  const parts = changed(shown.get(region), message)?.map((name) => [region.querySelector(`[data-part="${CSS.escape(name)}"]`), message.parts[name]]);
  shown.set(region, message);
  if (!parts || parts.some(([place]) => !place)) morph(region, whole(message));
  else for (const part of parts) morph(...part);
}

// The answer to an action on a card is swapped in, too. What is shown then is not what was pushed last, so the next push is shown as a whole.
document.addEventListener("htmx:before:swap", ({ detail: { ctx, tasks } }) => {
  for (const task of tasks ?? []) {
    const target = typeof task.target === "string" ? document.querySelector(task.target) : task.target;
    if (target !== ctx.sourceElement) shown.delete(target?.closest?.("[data-region]"));
  }
});

// Regions whose ages only the server can calculate (working minutes, overdue): loaded again once a minute.
setInterval(() => {
  if (document.hidden) return;
  for (const region of document.querySelectorAll("[data-live][data-ages]")) due.add(region);
  if (due.size) later(GATHER);
}, 60000);

// At midnight "today" becomes "yesterday" on pages that stay open over night.
const skew = Date.parse(document.body.dataset.now ?? "") - Date.now() || 0;
let midnight = Date.parse(document.body.dataset.midnight ?? "");
function turnDay() {
  if (document.hidden || !(Date.now() + skew >= midnight)) return;
  while (midnight <= Date.now() + skew) midnight += 86_400_000;
  hear({ kind: "refresh" });
}
setInterval(turnDay, 30_000);
document.addEventListener("visibilitychange", turnDay);

let offlineTimer = 0;
function state(live) {
  document.documentElement.dataset.stream = live;
  const sign = document.getElementById("offline");
  clearTimeout(offlineTimer);
  if (live === "ok") { sign.hidden = true; back(); }
  else if (live === "offline") offlineTimer = setTimeout(() => { sign.hidden = false; }, 2500); // short interruptions are not shown
}

function byWorker() {
  const worker = new SharedWorker(document.body.dataset.worker, { type: "module", name: `pbxcrm-${me}-${language}` });
  worker.port.onmessage = ({ data }) => hear(data);
  worker.port.start();
  const join = () => worker.port.postMessage({ kind: "join", heard: Number(document.body.dataset.heard) });
  join();
  addEventListener("pagehide", () => worker.port.postMessage({ kind: "leave" }));
  addEventListener("pageshow", (event) => { if (event.persisted) { join(); hear({ kind: "refresh" }); } });
  return (why) => worker.port.postMessage({ kind: "wake", why });
}

// Without shared workers (Chrome on Android): the tab that holds the lock leads and tells the others.
function byLeader() {
  const channel = new BroadcastChannel(`pbxcrm-${me}-${language}`);
  let board = null;
  channel.onmessage = ({ data }) => {
    if (data.kind === "join") { if (board) for (const message of board.join(data.heard)) channel.postMessage({ ...message, only: data.from }); }
    else if (data.kind === "wake") board?.wake(data.why);
    else if (!data.only || data.only === from) hear(data);
  };
  const from = Math.random();
  channel.postMessage({ kind: "join", heard: Number(document.body.dataset.heard), from });
  navigator.locks.request(`pbxcrm-live-${me}-${language}`, () => {
    board = new Switchboard((message) => { hear(message); channel.postMessage(message); }, language);
    return new Promise(() => {}); // held until the tab closes
  });
  return (why) => (board ? board.wake(why) : channel.postMessage({ kind: "wake", why }));
}

function alone() {
  const board = new Switchboard(hear, language);
  return (why) => board.wake(why);
}

if (me) {
  const wake = "SharedWorker" in window ? byWorker() : navigator.locks && "BroadcastChannel" in window ? byLeader() : alone();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) wake("seen"); });
  addEventListener("online", () => wake("online"));
}
