"""The card of a deal in a real Chromium: by the keyboard alone, on a phone, with a colleague, and in two tabs after a failed attempt."""

import pytest
from playwright.async_api import expect
from sqlmodel import select

from pbxcrm.people.models import User
from tests.e2e.browser import live, overflow, violations
from tests.e2e.test_pages import DESK, House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_fact_a_person_a_pin_and_a_colleague_by_keys_alone(house: House) -> None:
    maria, hers = await house.person("maria")
    await hers.goto(f"{house.address}/tasks")
    await live(hers)
    ivan, page = await house.person("ivan", width=1280)
    path = f"/deals/{house.busy.deals[DESK]}"
    await page.goto(house.address + path)
    await live(page)
    await page.keyboard.press("t")
    await expect(page.locator("#fact-title").get_by_label("Title")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("A hall")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("A hall")
    await expect(page.locator("#fact-title").get_by_role("link", name="Change “Title”")).to_be_focused()
    await page.locator("#toasts").get_by_role("button", name="Undo").last.press("Enter")
    await expect(page.locator("h1")).to_have_text(DESK)

    await page.keyboard.press("p")
    person = page.locator("#add-person")
    await person.get_by_label("Person").focus()
    await page.keyboard.type("Anna Boss")
    await person.get_by_label("Number, if they are new").focus()
    await page.keyboard.type("050 111 22 99")
    await person.get_by_label("Role on the deal").focus()
    await page.keyboard.type("decides")
    await page.keyboard.press("Enter")
    await expect(page.locator("#deal-people").get_by_role("link", name="Anna Boss")).to_be_visible()

    await page.locator("h1").click()
    await page.keyboard.press("o")
    await expect(page.get_by_label("New note")).to_be_focused()
    await page.keyboard.type("@mar")
    await expect(page.locator(".mentions").get_by_role("option", name="Maria Manager")).to_have_attribute(
        "aria-selected", "true"
    )
    await page.keyboard.press("Enter")
    await page.keyboard.type("<b>may they?</b>")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#timeline .mention")).to_have_text(["@Maria Manager"])
    await expect(hers.locator("#toasts")).to_contain_text("asks you in a note")  # at once, on another page
    await page.get_by_role("button", name="Pin above the timeline").first.press("Enter")
    await expect(page.locator(".pinned li")).to_contain_text("<b>may they?</b>")
    await page.locator("h1").click()
    await page.keyboard.press("w")
    await expect(page.locator("#watchers .chip")).to_have_text(["Ivan Kravets"])
    assert await violations(page) == []
    await page.keyboard.press("?")
    keys = page.locator("dialog#keys[open]")
    for name in ("New note", "Add a person", "Stop watching", "Move to a stage", "Next task"):
        await expect(keys.get_by_text(name, exact=True)).to_be_visible()
    assert ivan.troubles == maria.troubles == []


async def test_what_a_colleague_does_is_said_to_who_watches(house: House) -> None:
    _maria, hers = await house.person("maria")
    path = f"/deals/{house.busy.deals[DESK]}"
    await hers.goto(house.address + path)
    await live(hers)
    await hers.locator("#watchers").get_by_role("button", name="Watch", exact=True).click()
    await expect(hers.locator("#watchers .chip")).to_have_count(1)
    await hers.goto(f"{house.address}/calls")
    await live(hers)
    _ivan, page = await house.person("ivan")
    await page.goto(house.address + path)
    await page.get_by_label("New note").fill("measured it")
    await page.keyboard.press("Control+Enter")
    toast = hers.locator("#toasts .toast", has_text="measured it")
    await expect(toast).to_be_visible()
    await toast.get_by_role("link", name="Open").click()
    await hers.wait_for_url(f"**{path}")
    await hers.goto(f"{house.address}/watching")
    await expect(hers.locator("#watching")).to_contain_text("measured it")
    assert await violations(hers) == []


async def test_every_tab_asks_for_the_next_task_until_it_is_set(house: House) -> None:
    ivan, first = await house.person("ivan")
    second = await first.context.new_page()
    await second.goto(f"{house.address}/tasks")
    await live(second)
    await expect(second.locator("[data-owed-deal]")).to_have_count(0)
    await first.goto(f"{house.address}/board")
    await live(first)
    await house.fail_to_reach()
    await first.goto(f"{house.address}/calls")
    await second.reload()
    for page in (first, second):
        await expect(page.locator("[data-owed-deal]")).to_contain_text(DESK)
        await live(page)
    assert await violations(second) == []
    await second.locator("[data-owed-deal]").get_by_role("button", name="in 2 hours").click()
    for page in (first, second):  # also in the tab in which nobody did anything
        await expect(page.locator("[data-owed-deal]")).to_have_count(0)
    assert await house.planned() == ["Call back"]
    assert ivan.troubles == []


@pytest.mark.parametrize("language", ["en", "uk"])
async def test_the_card_on_a_phone_is_not_wider_than_the_phone(house: House, language: str) -> None:
    async with house.database.write() as session:
        (await session.exec(select(User).where(User.login == "ivan"))).one().language = language
    _person, page = await house.person("ivan", width=360, height=740)
    await page.goto(f"{house.address}/deals/{house.busy.deals[DESK]}")
    await live(page)
    await page.locator("#deal-people summary").click()
    assert await overflow(page) == 0
    assert await violations(page) == []
    line = page.locator("#next-line")
    await page.locator("#watchers").scroll_into_view_if_needed()
    await expect(line).to_be_in_viewport()  # the next task stays in sight
