// Lists one chooses from by keys: what the search of the bar found, and the client of a deal.
const option = (list, by) => {
  const items = [...list.querySelectorAll(".item")];
  if (!items.length) return null;
  const here = items.findIndex((item) => item === document.activeElement || item.getAttribute("aria-selected") === "true");
  return items[(here + by + items.length + (here < 0 && by < 0 ? 1 : 0)) % items.length];
};

// The search of the bar: arrows walk through the links, Escape goes back to the field and closes.
const search = document.querySelector(".bar .search");
search?.addEventListener("keydown", (event) => {
  const found = search.querySelector(".found");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = option(found, event.key === "ArrowDown" ? 1 : -1);
    if (next) { event.preventDefault(); next.focus(); }
  } else if (event.key === "Escape" && event.target.matches(".item")) {
    found.replaceChildren();
    search.querySelector("input").focus();
  } else if (event.key === "Enter" && event.target.matches("input")) {
    const first = found.querySelector(".item");
    if (first && found.querySelectorAll(".item").length === 1) { event.preventDefault(); first.click(); }
  }
});
document.addEventListener("click", (event) => {
  for (const found of document.querySelectorAll(".found")) {
    if (!found.parentElement.contains(event.target)) close(found);
  }
});

function close(found) {
  found.replaceChildren();
  found.parentElement.querySelector('[role="combobox"]')?.setAttribute("aria-expanded", "false");
}

function take(item) {
  const box = item.closest("[data-choose]");
  const field = box.querySelector('[role="combobox"]');
  field.value = item.dataset.name;
  box.querySelector("[data-chosen-id]").value = item.dataset.id;
  hint(box);
  if ("submits" in box.dataset) { // there is nothing else to say
    close(item.parentElement);
    return box.closest("form").requestSubmit();
  }
  const number = box.closest("form").elements.number;
  if (number && !number.value) number.value = item.dataset.number;
  close(item.parentElement);
  field.focus();
}

// A client who turned out to have the number that was typed.
document.addEventListener("click", ({ target }) => {
  const use = target.closest?.("[data-use]");
  const box = use?.closest("form")?.querySelector("[data-choose]");
  if (!box) return;
  box.querySelector("[data-chosen-id]").value = use.dataset.use;
  box.querySelector('[role="combobox"]').value = use.dataset.name;
  hint(box);
  use.closest("#known").replaceChildren();
});

function hint(box) {
  const said = box.querySelector("[data-chosen-hint]");
  const known = box.querySelector("[data-chosen-id]").value;
  const typed = box.querySelector('[role="combobox"]').value.trim();
  said.textContent = known ? said.dataset.known : typed ? said.dataset.unknown : "";
}

document.addEventListener("input", (event) => {
  const box = event.target.closest?.("[data-choose]");
  if (!box) return;
  box.querySelector("[data-chosen-id]").value = ""; // another name is another client
  hint(box);
});
document.addEventListener("keydown", (event) => {
  const box = event.target.closest?.("[data-choose]");
  if (!box || !event.target.matches('[role="combobox"]')) return;
  const found = box.querySelector(".found");
  const chosen = found.querySelector('[aria-selected="true"]');
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = option(found, event.key === "ArrowDown" ? 1 : -1);
    if (!next) return;
    event.preventDefault();
    chosen?.setAttribute("aria-selected", "false");
    next.setAttribute("aria-selected", "true");
    event.target.setAttribute("aria-activedescendant", next.id);
  } else if (event.key === "Enter" && chosen) {
    event.preventDefault();
    take(chosen);
  } else if (event.key === "Escape" && found.childElementCount) {
    event.preventDefault();
    event.stopPropagation();
    close(found);
  }
}, true);
document.addEventListener("pointerdown", (event) => {
  const item = event.target.closest?.("[data-choose] .item");
  if (item) { event.preventDefault(); take(item); }
});
document.addEventListener("htmx:after:swap", (event) => {
  const box = event.target.closest?.("[data-choose]") ?? event.detail?.ctx?.sourceElement?.closest?.("[data-choose]");
  if (!box) return;
  const has = box.querySelector(".found").childElementCount > 0;
  box.querySelector('[role="combobox"]').setAttribute("aria-expanded", String(has));
});
