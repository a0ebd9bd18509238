"""After an act, by mouse or by keys, the focus is on what comes next: the next card, the next row. It is taken from nobody."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.callbacks.models import Episode
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.reasons import reason
from tests.calls import FactStory, batch
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings
from tests.e2e.test_dock_many import owe
from tests.lamps import lamp_of_callback

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_card_that_is_finished_by_mouse_hands_the_focus_to_the_next(
    at_screen: AtScreen, intake: Intake
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 3)
    await page.locator("#call-3").get_by_role("button", name="in 2 hours").click()
    await expect(page.locator("#call-3")).to_have_count(0)
    await expect(page.locator("#dock-cards :focus")).to_have_count(1)
    await page.locator("#call-2-note").click()
    await page.keyboard.type("Call before noon")  # typed while another card goes
    await page.locator("#call-1").evaluate("(card) => { card.querySelector('summary.state').click(); }")
    await page.evaluate("document.querySelector('#call-1 button[name=next][value=\\'2h\\']').click()")
    await expect(page.locator("#call-1")).to_have_count(0)
    await expect(page.locator("#call-2-note")).to_be_focused()
    await page.keyboard.type(", please")
    await expect(page.locator("#call-2-note")).to_have_value("Call before noon, please")


async def escalated(intake: Intake, db: Database, page: Page, address: str) -> None:
    """Three callbacks have reached the manager, who looks at them."""
    for n in (1, 2, 3):
        story = FactStory(f"5.{n}", f"+38050111000{n}", at=datetime.now(UTC))
        await intake.apply(batch(story.ring("101").wait(9).end()))
    async with db.write() as session:
        why = reason("escalation.callback", minutes=20, who="Olena").stored()
        for episode in (await session.exec(select(Episode).order_by(Episode.client_number))).all():
            await lamp_of_callback(session, episode, datetime.now(UTC), reason=why)
    await page.goto(address + "/escalations")
    await live(page)


async def stands_on(page: Page, number: str) -> None:
    await expect(page.locator("#escalations tr.now")).to_contain_text(number)
    await expect(page.locator("#escalations tr.now")).to_be_focused()


async def test_a_row_that_is_given_away_or_accepted_hands_the_focus_to_the_next(
    at_screen: AtScreen, intake: Intake, db: Database
) -> None:
    person, page = await at_screen("iryna")
    await escalated(intake, db, page, person.address)
    async with db.read() as session:
        taker = (await session.exec(select(User).where(User.login == "olena"))).one()
    rows = page.locator("#escalations tr[data-row]")
    await expect(rows).to_have_count(3)
    first = rows.nth(0)
    await first.get_by_role("button", name="Reassign").click()  # by mouse
    await page.locator("#ask").get_by_text(taker.name).click()
    await page.locator("#ask").get_by_role("button", name="Reassign").click()
    await expect(rows).to_have_count(2)
    await stands_on(page, "+380 50 111 00 02")
    await page.keyboard.press("m")  # by keys, from there; this row stays
    await expect(page.locator("#ask").get_by_role("textbox")).to_be_focused()
    await page.keyboard.type("Call before noon")
    await page.keyboard.press("Enter")
    await expect(page.locator("#ask")).to_be_hidden()
    await expect(rows.nth(0)).to_contain_text("Call before noon")
    await stands_on(page, "+380 50 111 00 02")
    await page.keyboard.press("y")
    await page.locator("#ask").get_by_role("button", name="Not worth a call").click()
    await page.locator("#ask").get_by_role("button", name="Accept", exact=True).press("Enter")
    await expect(rows).to_have_count(1)
    await stands_on(page, "+380 50 111 00 03")
    await page.keyboard.press("y")
    await page.locator("#ask").get_by_role("button", name="Not worth a call").click()
    await page.locator("#ask").get_by_role("button", name="Accept", exact=True).click()
    await expect(rows).to_have_count(0)
    await expect(page.locator("#page")).to_be_focused()


async def test_what_is_typed_elsewhere_keeps_the_focus(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    """The answer to an act comes while its author is in the search already."""
    person, page = await at_screen("iryna")
    await escalated(intake, db, page, person.address)
    rows = page.locator("#escalations tr[data-row]")
    await rows.nth(0).locator("input[type=checkbox]").check()
    search = page.get_by_role("combobox").first
    await page.evaluate("document.querySelector('#bulk button[name=user_id]').click()")
    await search.focus()
    await page.keyboard.type("Zoria")
    await expect(rows).to_have_count(2)
    await expect(search).to_be_focused()
    await expect(search).to_have_value("Zoria")


async def test_a_client_made_on_a_card_by_mouse_leaves_the_focus_on_the_card(
    at_screen: AtScreen, intake: Intake
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 2)
    card = page.locator("#call-2")
    await card.get_by_role("combobox").fill("Ihor Bondar")
    await card.get_by_role("button", name="New client", exact=True).click()
    await expect(card).to_contain_text("Ihor Bondar")
    await expect(card.locator(":focus")).to_have_count(1)
    await card.get_by_role("button", name="in 3 days").click()
    await expect(card).to_have_count(0)
    await expect(page.locator("#dock-cards :focus")).to_have_count(1)


async def test_an_act_that_loads_the_deal_anew_gives_the_focus_back(at_screen: AtScreen, intake: Intake) -> None:
    person, page = await at_screen("olena")
    await owe(intake, 1)
    await page.goto(f"{person.address}/deals/1")
    await live(page)
    here = page.locator("#path [aria-current=step]")
    name = here.locator("b")
    before = await name.inner_text()
    await page.locator("#path .open button").first.focus()
    await page.keyboard.press("Enter")
    await expect(name).not_to_have_text(before)
    await expect(here).to_be_focused()
    await page.locator("#toasts").get_by_role("button", name="Undo").focus()
    await page.keyboard.press("Enter")
    await expect(name).to_have_text(before)
    await expect(here).to_be_focused()
    await page.locator("#plan button").nth(1).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#next-line")).to_contain_text("Call back")
    await expect(page.locator("#plan :focus")).to_have_count(1)
