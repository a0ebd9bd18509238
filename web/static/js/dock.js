// The dock of call cards: on a narrow window a sheet from below that folds to one line. It never takes the focus.
const dock = document.getElementById("dock");
const fold = dock?.querySelector(".dock-fold");

function retitle() {
  const cards = dock.querySelectorAll(".callcard");
  const title = cards[0]?.querySelector("[data-dock-title]");
  const line = dock.querySelector("[data-dock-line]");
  const text = title ? `${cards[0].dataset.word}: ${title.textContent.trim()}${cards.length > 1 ? ` +${cards.length - 1}` : ""}` : "";
  if (title && line.textContent !== text) line.textContent = text;
}

if (dock) {
  // Where the sheet would cover the page it begins as its one line.
  if (matchMedia("(max-width: 1024px)").matches) {
    dock.classList.add("folded");
    fold.setAttribute("aria-expanded", "false");
  }
  fold.addEventListener("click", () => {
    const folded = dock.classList.toggle("folded");
    fold.setAttribute("aria-expanded", String(!folded));
  });
  new MutationObserver(retitle).observe(dock.querySelector("#dock-cards"), { childList: true, subtree: true });
  retitle();
}
