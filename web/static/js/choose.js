// Lists with keyboard selection: the results of the global search, and the client of a deal.
const option = (list, by) => {
  const items = [...list.querySelectorAll(".item")];
  if (!items.length) return null;
  const here = items.findIndex((item) => item === document.activeElement || item.getAttribute("aria-selected") === "true");
  return items[(here + by + items.length + (here < 0 && by < 0 ? 1 : 0)) % items.length];
};

// The search of the bar is a combobox with a grid: the focus stays in the field, up and down walk through the rows, right and left
// through what a row has (its link, its call button), Enter activates the selected cell, Escape closes.
const search = document.querySelector(".bar .search");
const searchField = search?.querySelector('[role="combobox"]');
const stopsOf = (row) => [...row.querySelectorAll("a, button")];
const chosenOf = () => document.getElementById(searchField.getAttribute("aria-activedescendant") ?? "");

function choose(stop) {
  for (const old of search.querySelectorAll(".chosen")) old.classList.remove("chosen");
  if (!stop) { searchField.removeAttribute("aria-activedescendant"); return; }
  stop.classList.add("chosen");
  stop.scrollIntoView({ block: "nearest" });
  searchField.setAttribute("aria-activedescendant", stop.id);
}

// Returns whether the key moved the selection.
function walk(key) {
  const rows = [...search.querySelectorAll('.found [role="row"]')];
  const chosen = chosenOf();
  const at = rows.findIndex((row) => row.contains(chosen));
  if (key === "ArrowRight" || key === "ArrowLeft") {
    const stops = chosen ? stopsOf(rows[at]) : [];
    const next = stops[stops.indexOf(chosen) + (key === "ArrowRight" ? 1 : -1)];
    if (next) choose(next);
    return Boolean(next);
  }
  if (!rows.length) return false;
  const by = key === "ArrowDown" ? 1 : -1;
  choose(stopsOf(rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length])[0]);
  return true;
}

searchField?.addEventListener("keydown", (event) => {
  const found = search.querySelector(".found");
  if (event.key.startsWith("Arrow")) {
    if (walk(event.key)) event.preventDefault();
  } else if (event.key === "Escape" && found.childElementCount) {
    event.preventDefault();
    found.replaceChildren();
  } else if (event.key === "Enter") {
    const all = found.querySelectorAll(".item");
    const take = chosenOf() ?? (all.length === 1 ? all[0] : null);
    if (take) { event.preventDefault(); take.click(); }
  }
});
if (search) {
  // Screen readers hear the number of results; each row is read when it is selected.
  new MutationObserver(() => {
    const found = search.querySelector(".found");
    const rows = found.querySelector("#found-rows");
    choose(null);
    searchField.setAttribute("aria-expanded", String(Boolean(rows)));
    search.querySelector("[data-found-says]").textContent = rows?.dataset.says ?? found.textContent.trim();
  }).observe(search.querySelector(".found"), { childList: true });
}
document.addEventListener("click", (event) => {
  for (const found of document.querySelectorAll(".found")) {
    if (!found.parentElement.contains(event.target)) close(found);
  }
});

function close(found) {
  if (found.childElementCount) found.replaceChildren();
  found.parentElement.querySelector('[role="combobox"]')?.setAttribute("aria-expanded", "false");
}

function take(item) {
  const box = item.closest("[data-choose]");
  const field = box.querySelector('[role="combobox"]');
  field.value = item.dataset.name;
  box.querySelector("[data-chosen-id]").value = item.dataset.id;
  hint(box);
  if (box.closest("[data-rule-form]")) box.querySelector("[data-chosen-id]").dispatchEvent(new Event("input", { bubbles: true })); // said in plain words, and stored
  if ("submits" in box.dataset) { // the form has no other field
    close(item.parentElement);
    return box.closest("form").requestSubmit();
  }
  const number = box.closest("form").elements.number;
  if (number && !number.value) number.value = item.dataset.number;
  close(item.parentElement);
  field.focus();
}

// A client who already has the typed number.
document.addEventListener("click", ({ target }) => {
  const use = target.closest?.("[data-use]");
  const box = use?.closest("form")?.querySelector("[data-choose]");
  if (!box) return;
  box.querySelector("[data-chosen-id]").value = use.dataset.use;
  box.querySelector('[role="combobox"]').value = use.dataset.name;
  hint(box);
  use.closest("[data-known-numbers]").replaceChildren();
});

// A value that stands beside a field, such as the name of a company that is there already.
document.addEventListener("click", ({ target }) => {
  const fill = target.closest?.("[data-fill]");
  if (!fill) return;
  const field = document.getElementById(fill.dataset.fill);
  field.value = fill.dataset.value;
  field.dispatchEvent(new Event("input", { bubbles: true })); // the hint goes, drafts and guards hear of it
  field.focus();
});

function hint(box) {
  const said = box.querySelector("[data-chosen-hint]");
  const known = box.querySelector("[data-chosen-id]").value;
  const typed = box.querySelector('[role="combobox"]').value.trim();
  said.textContent = known ? said.dataset.known : typed ? said.dataset.unknown : "";
}

document.addEventListener("input", (event) => {
  const box = event.target.closest?.("[data-choose]");
  if (!box || !event.target.matches('[role="combobox"]')) return;
  box.querySelector("[data-chosen-id]").value = ""; // a changed name means another client
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
