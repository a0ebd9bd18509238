"""Unsorted worked by keys alone: two keys each, the next deal is chosen by itself, and each act is taken back."""

import re
from typing import Any

import pytest
from playwright.async_api import expect
from sqlmodel import col, select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import NOON, batch
from tests.e2e.browser import live, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
NUMBERS = [f"+38067111220{each}" for each in range(4)]


async def office(intake: Intake, db: Database) -> None:
    """Olena answered four unknown clients; the second turns out to be known and has an open deal."""
    for count, number in enumerate(NUMBERS, 1):
        await intake.apply(batch(story(count, number).ring("101").answer("101").wait(60).end(), position=count))
    async with db.write() as session:
        olena = (await session.exec(select(User).where(User.login == "olena"))).one()
        viewer = await viewer_of(session, olena)
        client = await create_contact(session, viewer, name="Marta Bilyk", phones=[NUMBERS[1]], now=NOON, region="UA")
        same: dict[str, Any] = {"now": NOON, "currency": "UAH", "second": True, "region": "UA", "contact_id": client.id}
        await create_deal(session, viewer, title="Kitchen for Marta", **same)


async def deal_of(db: Database, number: str) -> Deal:
    async with db.read() as session:
        return (await session.exec(select(Deal).where(Deal.client_number == number).order_by(col(Deal.id)))).all()[0]


async def test_four_deals_are_sorted_by_keys(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    await office(intake, db)
    person, page = await at_screen("olena")
    await page.goto(f"{person.address}/unsorted")
    await live(page)
    rows = page.locator("tr[data-row]")
    await expect(rows).to_have_count(4)
    counter = page.locator('#rail a[href="/unsorted"] .count')
    await expect(counter).to_have_text("4")
    assert await violations(page) == []
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("tr:focus")).to_have_attribute("aria-label", re.compile("Marta Bilyk"))
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("y")
    await expect(rows).to_have_count(3)
    await expect(page.locator("#toasts")).to_contain_text("is in work")
    await expect(page.locator("tr.now")).to_contain_text("Marta Bilyk")
    await expect(counter).to_have_text("3")
    await page.keyboard.press("m")
    await expect(page.locator("dialog#ask")).to_contain_text("Kitchen for Marta")
    assert await violations(page) == []
    await page.keyboard.press("1")
    await expect(rows).to_have_count(2)
    assert (await deal_of(db, NUMBERS[1])).merged_into_id is not None
    await page.locator("#toasts .toast", has_text="Merged into").get_by_role("button", name="Undo").click()
    await expect(rows).to_have_count(3)
    assert (await deal_of(db, NUMBERS[1])).merged_into_id is None
    await page.keyboard.press("s")
    await expect(page.locator("dialog#ask")).to_contain_text("Supplier")
    await page.keyboard.press("3")
    await expect(rows).to_have_count(2)
    await page.keyboard.press("l")
    await expect(page.locator("dialog#ask").get_by_label("Client", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog#ask")).to_be_hidden()


async def test_on_a_phone_and_in_ukrainian_nothing_is_cut(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    await office(intake, db)
    wanted: tuple[dict[str, Any], ...] = (
        {"viewport": {"width": 360, "height": 740}, "locale": "uk-UA"},
        {"viewport": {"width": 1280, "height": 800}, "locale": "uk-UA", "color_scheme": "dark"},
    )
    for context in wanted:
        person, page = await at_screen("olena", **context)
        await page.goto(f"{person.address}/unsorted")
        await live(page)
        await expect(page.locator("tr[data-row]")).to_have_count(4)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await violations(page) == []
