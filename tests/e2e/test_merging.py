"""Duplicates worked by keys alone: one pair is two people, the other is merged, and that is undone from the history."""

import re

import pytest
from playwright.async_api import expect
from sqlmodel import select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Contact
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def make(db: Database, name: str, number: str, note: str = "") -> int:
    async with db.write() as session:
        olena = (await session.exec(select(User).where(User.login == "olena"))).one()
        viewer = await viewer_of(session, olena)
        made = await create_contact(session, viewer, name=name, phones=[number], note=note, now=NOON, region="UA")
    assert made.id is not None
    return made.id


async def test_a_list_of_duplicates_is_worked_by_keys(at_screen: AtScreen, db: Database) -> None:
    wife, husband = await make(db, "Olha Koval", "0501110001"), await make(db, "Petro Koval", "0501110001")
    one, other = (
        await make(db, "Тарас Шевченко", "0671110002"),
        await make(db, "Taras Shevchenko", "0671110003", "Poet"),
    )
    person, page = await at_screen("olena")
    await page.goto(f"{person.address}/contacts/duplicates")
    await live(page)
    pairs = page.locator("tr[data-keys]")
    await expect(pairs).to_have_count(2)
    await page.keyboard.press("d")
    await expect(page.locator(f"#pair-{wife}-{husband}")).to_have_count(0)
    await expect(page.locator("#toasts")).to_contain_text("not suggested again")
    await page.keyboard.press("m")
    await page.wait_for_url(f"**/contacts/{other}/merge?contact_id={one}**")
    await live(page)
    await page.keyboard.press("x")  # the other one stays
    await page.wait_for_url(f"**/contacts/{one}/merge?contact_id={other}**")
    await live(page)
    await page.get_by_role("radio", name="Тарас Шевченко").check()
    await page.keyboard.press("m")
    await page.wait_for_url("**/contacts/duplicates")
    await expect(page.get_by_role("heading", name="No duplicates")).to_be_visible()
    await page.goto(f"{person.address}/contacts/{one}")
    await page.wait_for_url(f"**/contacts/{other}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Тарас Шевченко")
    await page.get_by_role("link", name="Undo…").click()
    await live(page)
    await expect(page.get_by_text("Nothing was changed since.")).to_be_visible()
    await page.keyboard.press("u")
    await page.wait_for_url(re.compile(rf"/contacts/{one}$"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Тарас Шевченко")
    async with db.read() as session:
        assert (await session.get_one(Contact, other)).name == "Taras Shevchenko"
