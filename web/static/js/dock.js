// The dock of call cards: on a narrow window a sheet from below that folds to one line. It never takes the focus.
const dock = document.getElementById("dock");
const fold = dock?.querySelector(".dock-fold");

function retitle() {
  const cards = dock.querySelectorAll(".callcard");
  const title = cards[0]?.querySelector("[data-dock-title]");
  if (title) dock.querySelector("[data-dock-line]").textContent = title.textContent.trim() + (cards.length > 1 ? ` +${cards.length - 1}` : "");
}

if (dock) {
  fold.addEventListener("click", () => {
    const folded = dock.classList.toggle("folded");
    fold.setAttribute("aria-expanded", String(!folded));
  });
  new MutationObserver(retitle).observe(dock.querySelector("#dock-cards"), { childList: true, subtree: true });
  retitle();
}
