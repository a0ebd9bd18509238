"""Whatever is typed, ticked or chosen in any form of any page survives a reload, in a real Chromium."""

import json

import pytest

from tests.e2e.browser import live
from tests.e2e.test_pages import DESK, PAGES, House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Forms that post what is typed; not those that ask only for an act, nor those with a password.
_FIELDS = """
const forms = () => [...document.querySelectorAll("#page form, main form")].filter((form) =>
  (form.getAttribute("hx-post") || form.method === "post") && !form.querySelector("[type=password]") && !form.matches("[data-keeps]"));
const fields = () => forms().flatMap((form, n) => [...form.elements].filter((one) => one.name && one.closest("form") === form && !one.disabled
  && !one.matches("[type=hidden], [type=file], [type=search], button, fieldset, [data-nodraft], [data-save-to]")).map((one, m) => [`${n} ${form.getAttribute("action") || form.getAttribute("hx-post")} ${m} ${one.name}`, one]));
const value = (one) => one.matches("[type=checkbox], [type=radio]") ? one.checked : one.value;
"""
TYPE = (
    "() => {"
    + _FIELDS
    + """
  const written = { date: "2027-05-06", time: "07:08", "datetime-local": "2027-05-06T07:08", number: "7", email: "a@example.com", tel: "0671112244", url: "https://example.com/a", month: "2027-05", week: "2027-W05", color: "#123456" };
  const rows = {};
  for (const [, one] of fields()) {
    const type = one.getAttribute("type") ?? "";
    if (type === "checkbox" || type === "radio") { if (!one.checked || type === "checkbox") one.checked = !one.checked; }
    else if (one.matches("select")) one.selectedIndex = one.options.length - 1;
    else { rows[one.name] = (rows[one.name] ?? 0) + 1; one.value = written[type] ?? `${rows[one.name]} typed`; }
    one.dispatchEvent(new Event("input", { bubbles: true }));
  }
  return Object.fromEntries(fields().map(([name, one]) => [name, value(one)]));
}"""
)
LOOK = "() => {" + _FIELDS + "return Object.fromEntries(fields().map(([name, one]) => [name, value(one)])); }"

MORE = {"settings": ("/settings/calendars/1", "/settings/lines/1", "/settings/pipelines/1", "/tasks/1")}


@pytest.mark.parametrize("group", PAGES)
async def test_every_form_of_every_page_keeps_what_is_typed(house: House, group: str) -> None:
    _, page = await house.person("admin")
    names = {"talk": house.busy.calls["1700000000.2"], "desk": house.busy.deals[DESK]}
    faults: dict[str, object] = {}
    looked = 0
    for path in (*PAGES[group], *MORE.get(group, ())):
        if path.startswith("/api/"):
            continue
        await page.goto(house.address + path.format(**names))
        await live(page)
        typed = await page.evaluate(TYPE)
        if not typed:
            continue
        await page.reload()
        await live(page)
        kept = await page.evaluate(LOOK)
        lost = {name: [text, kept.get(name)] for name, text in typed.items() if kept.get(name) != text}
        if lost:
            faults[path] = lost
        looked += len(typed)
    assert not faults, json.dumps(faults, indent=1, ensure_ascii=False)[:6000]
    assert looked > 0
