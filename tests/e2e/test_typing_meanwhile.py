"""A live region is never swapped under the hands of somebody who began to type after it had been asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Route, expect

from pbxcrm.db import Database
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.tasks.actions import create_task
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, settings

__all__ = ["app", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def plan(db: Database, title: str) -> None:
    now = datetime.now(UTC)
    async with db.write() as session:
        olena = await viewer_of(session, await session.get_one(User, 1))
        await create_task(session, olena, title=title, due_at=now + timedelta(minutes=5), now=now)


async def test_what_is_typed_while_the_answer_is_on_its_way_stays(at_screen: AtScreen, db: Database) -> None:
    person, page = await at_screen("olena")
    await plan(db, "Send samples")
    await page.goto(person.address + "/tasks")
    await live(page)
    field = page.get_by_label("Result of “Send samples”")

    asked: list[str] = []

    async def type_first(route: Route) -> None:
        """The page has asked for its list anew; the answer comes when two letters have been typed."""
        if not asked:
            asked.append(route.request.url)
            await field.focus()
            await page.keyboard.type("ab")
        await route.continue_()

    await page.route("**/tasks", type_first)
    await plan(db, "Call the director")
    await expect(field).to_have_value("ab")
    await page.keyboard.type("c")
    await expect(field).to_have_value("abc")
    await expect(field).to_be_focused()
    await expect(page.get_by_text("Call the director")).to_have_count(0)  # it waits for the field to be left
    await page.locator("h1").click()
    await expect(page.get_by_text("Call the director")).to_be_visible()
