// Folding of rail and dock, remembered in this browser. It runs before the first paint, so that nothing jumps. In a window
// that is too narrow for the whole rail, the rail starts folded.
(() => {
  const root = document.documentElement;
  const kept = (name) => { try { return localStorage.getItem(`pbxcrm.${name}`); } catch { return null; } };
  const narrow = matchMedia("(max-width: 1366px)");
  const look = () => {
    root.dataset.rail = kept("rail") ?? (narrow.matches ? "folded" : "open");
    root.dataset.dock = kept("dock") ?? "open";
  };
  look();
  narrow.addEventListener("change", look);
  addEventListener("storage", look);
  const say = () => {
    for (const button of document.querySelectorAll("[data-fold]")) button.setAttribute("aria-expanded", String(root.dataset[button.dataset.fold] === "open"));
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-fold]");
    if (!button) return;
    const name = button.dataset.fold;
    root.dataset[name] = root.dataset[name] === "open" ? "folded" : "open";
    try { localStorage.setItem(`pbxcrm.${name}`, root.dataset[name]); } catch { /* remembered on this page only */ }
    say();
  });
  document.addEventListener("DOMContentLoaded", say);
  document.addEventListener("htmx:after:swap", say);
})();
