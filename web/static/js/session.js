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

document.addEventListener("htmx:after:request", ({ detail }) => {
  if (detail.ctx.response?.status === 401) over();
});
