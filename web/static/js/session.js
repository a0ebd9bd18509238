// The session has ended: log-out elsewhere, by an administrator, or by age. The page goes to the login form, unless it holds
// typed text: then it stays, and a link opens the login in another tab.
import { say } from "./toasts.js";

const FIELDS = 'textarea, input:not([type="hidden"], [type="search"], [type="checkbox"], [type="radio"], [type="password"])';
let told = null;

function typed() {
  return [...document.querySelectorAll(FIELDS)].some((field) => field.value !== field.defaultValue && field.value.trim());
}

export function over() {
  if (!typed()) return location.reload(); // the server redirects to the login page and back here afterwards
  if (told?.isConnected) return;
  const words = document.body.dataset;
  told = say(words.sayLoggedOut, "red");
  const link = Object.assign(document.createElement("a"), { href: "/login", target: "_blank", className: "btn", textContent: words.sayLogIn });
  told.querySelector(".text").after(link);
}

// Somebody has logged in in another tab.
export function back() {
  told?.remove();
}

// The server runs another version than the one that made this page: the page is loaded again, at once where nobody sees it and nothing was typed.
const version = document.body.dataset.worker?.split("/").at(-3); // /static/VERSION/js/live-worker.js
let upgraded = false;

export function running(current) {
  if (!version || current === version || upgraded) return;
  upgraded = true;
  const again = () => {
    if (!document.hidden || typed() || sessionStorage.getItem("loaded-for") === current) return; // of two versions at once only one reload
    sessionStorage.setItem("loaded-for", current);
    location.reload();
  };
  const words = document.body.dataset;
  const toast = say(words.sayUpgraded, "stays");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "btn", textContent: words.sayReload });
  button.addEventListener("click", () => location.reload());
  toast.querySelector(".text").after(button);
  document.addEventListener("visibilitychange", again);
  again();
}

document.addEventListener("htmx:after:request", ({ detail }) => {
  if (detail.ctx.response?.status === 401) over();
});
