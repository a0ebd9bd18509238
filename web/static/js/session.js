// One has been logged out: elsewhere, by an administrator, or because it was long ago. The page goes to the login form, unless
// something has been typed: that is not lost, and one may log in beside it.
import { say } from "./toasts.js";

const FIELDS = 'textarea, input:not([type="hidden"], [type="search"], [type="checkbox"], [type="radio"], [type="password"])';
let told = null;

function typed() {
  return [...document.querySelectorAll(FIELDS)].some((field) => field.value !== field.defaultValue && field.value.trim());
}

export function over() {
  if (!typed()) return location.reload(); // the server sends one to the login page and back here afterwards
  if (told?.isConnected) return;
  const words = document.body.dataset;
  told = say(words.sayLoggedOut, "red");
  const link = Object.assign(document.createElement("a"), { href: "/login", target: "_blank", className: "btn", textContent: words.sayLogIn });
  told.querySelector(".text").after(link);
}

// Somebody has logged in beside it.
export function back() {
  told?.remove();
}

document.addEventListener("htmx:after:request", ({ detail }) => {
  if (detail.ctx.response?.status === 401) over();
});
