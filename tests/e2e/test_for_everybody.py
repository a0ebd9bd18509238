"""What a reader of the screen hears, where the focus goes, and what is told other than by colour."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, expect

from pbxcrm.calls.facts import MissedReason
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import FactStory, batch, outbound
from tests.e2e.browser import live, small_targets, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from tests.waiting import until

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Every change inside any live region of the page, as a screen reader would be told of it.
LISTEN = """() => {
  window.heard = [];
  const regions = [...document.querySelectorAll("[aria-live], [role=status], [role=alert]")];
  for (const region of regions) {
    new MutationObserver(() => { const text = region.textContent.trim(); if (text && text !== window.heard.at(-1)) window.heard.push(text); })
      .observe(region, { childList: true, subtree: true, characterData: true });
  }
  return regions.map((region) => region.id);
}"""


async def heard(page: Page) -> list[str]:
    said: list[str] = await page.evaluate("window.heard")
    return said


async def clock(page: Page) -> str:
    return await page.locator("#call-1 time[data-running]").inner_text()


async def test_states_of_a_call_are_said_and_never_its_seconds(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    regions = await page.evaluate(LISTEN)
    assert "dock-says" in regions
    assert "dock-cards" not in regions
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await expect(page.locator("#call-1")).to_have_class(re.compile("ringing"))
    before = await clock(page)
    await expect(page.locator("#call-1 time[data-running]")).not_to_have_text(before)  # the clock has gone on
    assert await heard(page) == ["Ringing: +380 67 111 22 33"]
    await intake.apply(batch(call.answer("101")))
    await expect(page.locator("#dock-says")).to_have_text("Talking: +380 67 111 22 33")
    before = await clock(page)
    await expect(page.locator("#call-1 time[data-running]")).not_to_have_text(before)
    await intake.apply(batch(call.wait(5).end()))
    await expect(page.locator("#dock-says")).to_have_text("The call is over, say how it ended: +380 67 111 22 33")
    missed = story(2, "+380501110001").ring("101")
    await intake.apply(batch(missed))
    await expect(page.locator("#dock-says")).to_have_text("Ringing: +380 50 111 00 01")
    await intake.apply(batch(missed.wait(3).end()))
    await expect(page.locator("#dock-says")).to_have_text("The caller gave up: +380 50 111 00 01")
    assert await heard(page) == [
        "Ringing: +380 67 111 22 33",
        "Talking: +380 67 111 22 33",
        "The call is over, say how it ended: +380 67 111 22 33",
        "Ringing: +380 50 111 00 01",
        "The caller gave up: +380 50 111 00 01",
    ]


ENDINGS = {
    "en-GB": ("Answered by Dmytro Koval: {}", "Missed: {}", "The caller gave up: {}", "Nobody answered: {}"),
    "uk-UA": (
        "На дзвінок відповідає Dmytro Koval: {}",
        "Пропущено: {}",
        "Клієнт поклав слухавку: {}",
        "Ніхто не відповів: {}",
    ),
    "ru-RU": (
        "На звонок отвечает Dmytro Koval: {}",
        "Пропущено: {}",
        "Клиент положил трубку: {}",
        "Никто не ответил: {}",
    ),
}


@pytest.mark.parametrize("locale", ENDINGS)
async def test_why_it_rings_no_more_is_said(at_screen: AtScreen, intake: Intake, locale: str) -> None:
    """Answered by a colleague, missed, given up by the caller, and a call of one's own that nobody took: four sentences."""
    _, page = await at_screen("olena", locale=locale)
    await live(page)
    says = page.locator("#dock-says")
    client = "+380 67 111 22 33"
    calls: tuple[tuple[Callable[[int], FactStory], Callable[[FactStory], FactStory]], ...] = (
        (lambda n: story(n).ring("101", "102"), lambda call: call.answer("102")),
        (lambda n: story(n).ring("101"), lambda call: call.wait(30).end(missed=MissedReason.TIMEOUT)),
        (lambda n: story(n).ring("101"), lambda call: call.wait(9).end(missed=MissedReason.ABANDONED_RINGING)),
        (lambda n: outbound(f"1.{n}", "101", at=datetime.now(UTC)).ring("101"), lambda call: call.wait(9).end()),
    )
    for n, ((begins, ends), sentence) in enumerate(zip(calls, ENDINGS[locale], strict=True), 1):
        call = begins(n)
        await intake.apply(batch(call))
        await expect(page.locator(f"#call-{n}")).to_have_class(re.compile("ringing"))
        await intake.apply(batch(ends(call)))
        await expect(says).to_have_text(sentence.format(client))


async def test_the_title_of_the_tab_says_that_it_rings_and_who(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    own = await page.title()
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await expect(page).to_have_title(f"☎ Ringing: +380 67 111 22 33 · {own}")
    await page.reload()
    await expect(page).to_have_title(f"☎ Ringing: +380 67 111 22 33 · {own}")
    await intake.apply(batch(call.answer("101")))
    await expect(page).to_have_title(own)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_ringing_bar_on_a_phone_is_unlike_an_unfinished_one(
    at_screen: AtScreen, intake: Intake, theme: str
) -> None:
    look: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "color_scheme": theme}
    _, page = await at_screen("olena", **look)
    await live(page)
    bar = page.locator(".dock-fold")

    async def shape() -> tuple[object, ...]:
        found: list[object] = await page.locator("#dock").evaluate(
            """(dock) => { const style = getComputedStyle(dock); const bar = dock.querySelector('.dock-fold');
              const sign = [...bar.querySelectorAll('.sign .icon')].findIndex((one) => one.checkVisibility());
              return [sign, style.borderTopStyle, style.backgroundColor, getComputedStyle(bar).fontSize]; }"""
        )
        return tuple(found)

    call = story(1).ring("101")
    await intake.apply(batch(call))
    await expect(bar).to_contain_text("Ringing: +380 67 111 22 33")
    ringing = await shape()
    assert await violations(page) == []
    await intake.apply(batch(call.answer("101").wait(5).end()))
    await expect(bar).to_contain_text("How did it end? +380 67 111 22 33")
    unfinished = await shape()
    assert all(one != other for one, other in zip(ringing, unfinished, strict=True))
    assert await violations(page) == []
    assert await small_targets(page) == []


async def test_the_focus_goes_to_what_is_wrong(at_screen: AtScreen) -> None:
    person, page = await at_screen("")
    await page.locator("#f-login").fill("olena")
    await page.locator("#f-password").fill("not it at all")
    await page.locator(".panel button").click()
    await person.expect_status(422)
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.locator("#f-password")).to_be_focused()

    admin, page = await at_screen("admin")
    await page.goto(admin.address + "/contacts/new")
    await page.locator("#f-name").fill("Somebody")
    await page.locator("#page :is(input, textarea)[name=phones]").fill("not a number")
    await page.locator("#page form button.primary").first.click()
    await admin.expect_status(422)
    await expect(page.locator('[aria-invalid="true"]').first).to_be_focused()


async def test_a_note_says_in_words_that_it_is_saved(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await intake.apply(batch(story(1).ring("101").answer("101")))
    await page.locator("#call-1-note").fill("Agreed")
    word = page.locator("#call-1 .note-word")
    await until(lambda: _after(word, "saved"))


async def _after(word: Any, wanted: str) -> bool:
    content: str = await word.evaluate("(one) => getComputedStyle(one, '::after').content")
    return wanted in content and "not" not in content


async def test_the_search_is_a_combobox(at_screen: AtScreen, db: Database) -> None:
    async with db.write() as session:
        for name, number in (("Omega Alpha", "+380501110001"), ("Omega Beta", "+380501110002")):
            contact = Contact(name=name, responsible_id=1, created_at=datetime.now(UTC))
            session.add(contact)
            await session.flush()
            session.add(Phone(contact_id=contact.id or 0, number=number))
    _, page = await at_screen("admin")
    field = page.get_by_role("combobox", name="Search clients, numbers and deals")
    await expect(field).to_have_attribute("aria-expanded", "false")
    await field.fill("omega")
    await expect(page.get_by_role("grid").get_by_role("row")).to_have_count(2)
    await expect(field).to_have_attribute("aria-expanded", "true")
    await expect(page.locator("[data-found-says]")).to_have_text("2 found; arrows choose.")
    assert await violations(page) == []
    links = page.locator("#found .item")
    first, second = [await links.nth(n).get_attribute("id") for n in range(2)]
    await field.press("ArrowDown")
    await expect(field).to_have_attribute("aria-activedescendant", first or "")
    await field.press("ArrowDown")
    await expect(field).to_have_attribute("aria-activedescendant", second or "")
    await field.press("ArrowDown")  # from the last to the first
    await expect(field).to_have_attribute("aria-activedescendant", first or "")
    await expect(field).to_be_focused()
    assert await violations(page) == []
    await field.press("Escape")
    await expect(field).to_have_attribute("aria-expanded", "false")
    await expect(field).to_have_value("omega")
    await expect(field).not_to_have_attribute("aria-activedescendant", re.compile("."))
    await field.press("End")
    await field.press("Backspace")
    await expect(links).to_have_count(2)
    await field.press("ArrowUp")
    await field.press("Enter")
    await page.wait_for_url("**/contacts/*")


async def test_green_is_for_talks_alone(at_screen: AtScreen) -> None:
    """A button that calls takes the accent, as whatever is to be pressed first."""
    _, page = await at_screen("olena")
    colours = await page.evaluate(
        """() => { const button = (kind) => { const one = document.createElement('button'); one.className = `btn ${kind}`;
             document.getElementById('page').append(one); return getComputedStyle(one).backgroundColor; };
             return [button('call'), button('primary')]; }"""
    )
    assert colours[0] == colours[1]


async def test_a_first_step_that_is_kept_hands_the_focus_to_the_next(at_screen: AtScreen) -> None:
    admin, page = await at_screen("admin")
    await page.goto(admin.address + "/settings/start")
    keep = page.get_by_role("button", name="Right as it is")
    await expect(keep).to_have_count(2)
    await page.keyboard.press("Tab")  # from here on it is used by keys
    await keep.first.focus()
    await page.keyboard.press("Enter")
    await expect(keep).to_have_count(1)
    await expect(keep).to_be_focused()
