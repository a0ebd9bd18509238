"""The dock when calls come fast: what goes on is first and whole, what is owed waits in lines, and nothing typed is lost."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.deals.models import Note
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import FactStory, batch
from tests.e2e.browser import broken_words, cut_words, live, overflow, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings
from tests.lamps import sweep_all

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
BEGAN = datetime.now(UTC) - timedelta(minutes=20)
NAMES = ("Олена Довгопольська-Криворучко з Верхньодніпровська", None, "Zoria Ltd", "Kyiv Design Studio", "Юлія", "Ігор")


def call(number: int, minute: int, rang: str = "101") -> FactStory:
    name = NAMES[number % len(NAMES)]
    return FactStory(f"7.{number}", f"+38050111000{number}", name, at=BEGAN + timedelta(minutes=minute)).ring(rang)


async def owe(intake: Intake, count: int) -> None:
    """Olena has talked to so many clients and said of none how it ended: call 1 is the oldest."""
    for number in range(1, count + 1):
        await intake.apply(batch(call(number, number).wait(3).answer("101").wait(40 + number).end()))


def whole(page: Page, number: int) -> Any:  # playwright's assertions; their type is not exported
    return expect(page.locator(f"#call-{number} .inside"))


async def test_finished_cards_wait_in_lines_under_what_goes_on(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 5)
    cards = page.locator("#dock-cards > .callcard")
    await expect(cards).to_have_count(3)
    await whole(page, 5).to_be_visible()  # nothing else to do: the newest is open
    for number in (4, 3):
        await whole(page, number).to_be_hidden()
    await expect(page.locator("#call-4 .whose")).to_have_text("Юлія")
    await expect(page.locator("#dock-later > summary")).to_have_text("2 more calls without an outcome")
    living = call(6, 9)
    await intake.apply(batch(living))
    await expect(cards.first).to_have_id("call-6")
    await whole(page, 6).to_be_visible()
    await whole(page, 5).to_be_hidden()
    await page.locator("#call-6 .state").click()  # what goes on cannot be folded away
    await whole(page, 6).to_be_visible()
    # By keys: into the oldest of all, and it stays open while the other call goes on.
    await page.locator("#dock-later > summary").focus()
    await page.keyboard.press("Enter")
    await page.locator("#call-1 summary.state").focus()
    await page.keyboard.press("Enter")
    await whole(page, 1).to_be_visible()
    await intake.apply(batch(living.wait(2).answer("101")))
    await expect(page.locator("#call-6")).to_have_class(re.compile("talking"))
    await whole(page, 1).to_be_visible()
    await page.locator("#call-1").get_by_role("button", name="in 2 hours").click()
    await expect(page.locator("#call-1")).to_have_count(0)
    await expect(page.locator("#dock-later > summary")).to_have_text("1 more call without an outcome")
    await expect(cards.first).to_have_id("call-6")


async def test_how_many_are_owed_is_said_also_of_those_without_a_card(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 10)
    later = page.locator("#dock-later")
    await expect(later.locator("summary").first).to_have_text("7 more calls without an outcome")
    await later.locator("summary").first.click()
    await expect(later.locator(".callcard")).to_have_count(5)
    await expect(later.locator("p.sub").last).to_have_text("2 older come up as these are finished.")


async def test_all_settled_by_keys_leaves_the_focus_in_the_page_and_nothing_said_of_a_card(
    at_screen: AtScreen, intake: Intake
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 10)
    line, count = page.locator("[data-dock-line]"), page.locator("[data-dock-count]")
    await expect(count).to_have_text("10")
    summary = page.locator("#dock-later > summary")
    await summary.focus()
    await page.keyboard.press("Enter")
    together = page.get_by_role("button", name="Settle all 10 calls")
    await page.keyboard.press("Tab")
    await expect(together).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".callcard")).to_have_count(0)
    await expect(count).to_have_text("")
    await expect(line).to_have_text("Calls")
    await expect(page.locator("#page")).to_be_focused()  # without a card there is no dock


async def test_a_card_in_hand_stays_open_when_another_call_comes(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 1)
    await page.locator("#call-1-note").click()
    await intake.apply(batch(call(2, 9)))
    await expect(page.locator("#dock-cards > .callcard").first).to_have_id("call-2")
    await whole(page, 1).to_be_visible()
    await expect(page.locator("#call-1-note")).to_be_focused()
    await page.locator("#call-1 summary.state").click()  # folded by hand, it stays folded
    await intake.apply(batch(call(3, 10)))
    await expect(page.locator("#call-3")).to_be_visible()
    await whole(page, 1).to_be_hidden()


async def test_no_key_is_lost_while_cards_come_and_go(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    """Typed without a pause, while each card that comes, talks and ends draws the whole dock again."""
    _, page = await at_screen("olena")
    await live(page)
    await intake.apply(batch(call(1, 1).answer("101")))
    note = page.locator("#call-1-note")
    await note.click()
    text = "".join(chr(ord("a") + number % 26) for number in range(300))

    async def come_and_go() -> None:
        for number in range(2, 8):
            other = call(number, number)
            await intake.apply(batch(other))
            await intake.apply(batch(other.wait(2).answer("101")))
            await intake.apply(batch(other.wait(2).end()))

    await asyncio.gather(page.keyboard.type(text, delay=12), come_and_go())
    await expect(note).to_have_value(text)
    await expect(note).to_be_focused()
    await expect(note).to_have_attribute("data-state", "saved")
    async with db.read() as session:
        assert (await session.exec(select(Note))).one().text == text


async def test_a_colleagues_deal_shows_whose_it_is_and_leads_to_them(
    at_screen: AtScreen, intake: Intake, db: Database
) -> None:
    """Dmytro's client calls Olena: no link and no title of his deal, but his phone while it rings and a transfer while they talk."""
    async with db.write() as session:
        session.add(PbxStatus(pbx="default", state="listening", lease_until=datetime.now(UTC) + timedelta(hours=1)))
    _, page = await at_screen("olena")
    await live(page)
    await intake.apply(batch(call(3, 1, "102").answer("102").wait(30).end()))
    again = FactStory("8.1", "+380501110003", at=BEGAN + timedelta(minutes=5)).ring("101")
    await intake.apply(batch(again))
    chip = page.locator("#call-2 .dealchip")
    await expect(chip).to_contain_text("A deal of Dmytro Koval")
    await expect(chip).to_contain_text("extension 102")
    assert "Kyiv Design Studio" not in (await chip.inner_text())
    await expect(page.locator("#call-2").get_by_role("link", name="Open deal")).to_have_count(0)
    await intake.apply(batch(again.wait(2).answer("101")))
    await expect(chip.get_by_role("button")).to_have_text(
        ["Speak to them first: Dmytro Koval", "Transfer: Dmytro Koval"]
    )
    assert await violations(page) == []
    await chip.get_by_role("button", name="Transfer").click()
    await expect(page.locator(".toast")).to_contain_text("The client goes to 102.")
    async with db.read() as session:
        order = (await session.exec(select(PhoneCommand))).one()
    assert (order.kind, order.call_id, order.target) == ("transfer", 2, "102")


@pytest.mark.parametrize(
    ("locale", "width", "theme"),
    [("uk-UA", 1280, "light"), ("uk-UA", 360, "dark"), ("ru-RU", 360, "light"), ("en-GB", 1280, "dark")],
)
async def test_a_deal_with_a_lamp_and_a_stage_breaks_no_word(
    at_screen: AtScreen, intake: Intake, db: Database, locale: str, width: int, theme: str
) -> None:
    """The client whom a seller missed rings at the manager: name, extension, lamp and stage stand in one narrow box."""
    look: dict[str, Any] = {"color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": 800}}
    _, page = await at_screen("iryna", **look)
    await live(page)
    await intake.apply(batch(call(6, 0, "101").wait(20).end()))
    await sweep_all(db, datetime.now(UTC) + timedelta(days=4))
    await intake.apply(batch(FactStory("8.1", "+380501110006", at=BEGAN + timedelta(minutes=9)).ring("103")))
    chip = page.locator("#call-2 .dealchip")
    if width < 1024:
        await page.locator(".dock-fold").click()
    await expect(chip.locator(".lamp")).to_be_visible()
    await expect(chip.locator(".mark")).to_be_visible()
    assert (await broken_words(page), await cut_words(page), await overflow(page)) == ([], [], 0)
    assert await chip.evaluate("(chip) => chip.scrollWidth - chip.clientWidth") == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("uk-UA", 360)])
async def test_the_pile_passes_axe_and_its_words_fit(
    at_screen: AtScreen, intake: Intake, theme: str, locale: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": 800}}
    _, page = await at_screen("olena", **look)
    await live(page)
    await intake.apply(batch(call(6, 0, "102").answer("102").wait(30).end()))  # Dmytro's client
    await owe(intake, 5)
    await intake.apply(
        batch(FactStory("8.1", "+380501110006", at=BEGAN + timedelta(minutes=9)).ring("101").answer("101"))
    )
    await expect(page.locator("#dock-cards > .callcard")).to_have_count(4)
    if width < 1024:
        await page.locator(".dock-fold").click()
    await page.locator("#dock-later > summary").click()
    await page.locator("#call-3 summary.state").click()
    assert await violations(page) == []
    assert await overflow(page) == 0
    assert await page.locator("#dock").evaluate("(dock) => dock.scrollWidth - dock.clientWidth") == 0
    assert await cut_words(page) == []
    assert await broken_words(page) == []


async def test_the_card_is_in_all_ten_tabs_and_not_in_a_colleagues(at_screen: AtScreen, intake: Intake) -> None:
    """Ten of Olena's, one of Dmytro's, whose phone does not ring; Iryna has no tab open, but answers."""
    person, first = await at_screen("olena")
    tabs = [first, *[await person.page(path) for path in ("/", "/tasks", "/calls") * 3]]
    _, other = await at_screen("dmytro")
    for tab in (*tabs, other):
        await live(tab)
    rings = call(1, 1).ring("103")
    await intake.apply(batch(rings))
    for tab in tabs:
        await expect(tab.locator("#dock-cards .callcard.ringing")).to_have_id("call-1")
    # His own card comes by the same way later: had there been one of hers, it would stand beside.
    await intake.apply(batch(call(2, 2, "102")))
    await expect(other.locator("#dock-cards .callcard")).to_have_count(1)
    await expect(other.locator("#dock-cards .callcard")).to_have_id("call-2")
    await intake.apply(batch(rings.wait(2).answer("103")))
    for tab in tabs:
        await expect(tab.locator("#dock-cards .callcard")).to_have_count(0)


async def test_who_works_by_keys_keeps_their_place(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    """C leads to the cards; after a card is finished the focus is on the next one, and so it is after a task is done."""
    person, page = await at_screen("olena")
    await owe(intake, 2)
    await page.goto(person.address + "/tasks")
    await live(page)
    await expect(page.locator(".callcard.after")).to_have_count(2)
    await page.keyboard.press("a")
    await page.locator("#call-2").get_by_role("button", name="next morning").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#call-2")).to_have_count(0)
    await expect(page.locator("#call-1").locator(":focus")).to_have_count(1)
    await page.locator("#call-1").get_by_role("button", name="in 2 hours").focus()
    await page.keyboard.press("Enter")
    done = page.locator("tr").get_by_role("button", name="Done: ")
    await expect(done).to_have_count(2)
    await done.first.focus()
    await page.keyboard.press("Enter")
    await expect(done).to_have_count(1)
    await expect(done).to_be_focused()


@pytest.mark.parametrize(("mode", "rings", "talks"), [("answered", 0, 1), ("off", 0, 0)])
async def test_the_card_appears_when_each_wants_it(
    at_screen: AtScreen, intake: Intake, mode: str, rings: int, talks: int
) -> None:
    """The bar says all the same what the phone does."""
    person, page = await at_screen("olena")
    await page.goto(person.address + "/profile")
    await page.locator("[name=popup]").select_option(mode)
    await page.locator("form[action='/profile'] .btn.primary").click()
    await expect(page.locator(".toast")).to_contain_text("Saved")
    await live(page)
    story, state = call(1, 19), page.locator("#line-state")
    await intake.apply(batch(story))
    await expect(state).to_contain_text("ringing")
    await expect(page.locator(".callcard")).to_have_count(rings)
    await intake.apply(batch(story.wait(2).answer("101")))
    await expect(state).to_contain_text("talking")
    await expect(page.locator(".callcard.talking")).to_have_count(talks)
    await intake.apply(batch(story.wait(2).end()))
    await expect(state).to_have_attribute("data-state", "free")  # said in words only while a PBX is heard
    await expect(page.locator(".callcard.after")).to_have_count(talks)


async def test_a_reason_that_is_being_said_stays_in_hand_when_the_next_call_rings(
    at_screen: AtScreen, intake: Intake
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 1)
    card = page.locator("#call-1")
    await card.locator(".chip", has_text="Not interested").click()
    await card.get_by_text("Something else").click()
    await intake.apply(batch(call(2, 15)))
    await expect(page.locator("#call-2.ringing")).to_be_visible()
    reason = card.get_by_label("Reason")
    await reason.fill("Moves abroad")
    await intake.apply(batch(call(3, 16)))
    await expect(page.locator("#call-3.ringing")).to_be_visible()
    await expect(reason).to_have_value("Moves abroad")
    await page.keyboard.press("Enter")
    await expect(card).to_have_count(0)
    await expect(page.locator(".toast")).to_contain_text("The call is finished")
