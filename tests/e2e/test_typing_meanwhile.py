"""A live region is never swapped under the hands of somebody who began to type after it had been asked for."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Route, expect

from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.tasks.actions import create_task
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, settings
from tests.integration.web.conftest import PASSWORD

__all__ = ["app", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def plan(db: Database, title: str) -> None:
    now = datetime.now(UTC)
    async with db.write() as session:
        olena = await viewer_of(session, await session.get_one(User, 1))
        await create_task(session, olena, title=title, due_at=now + timedelta(minutes=5), now=now)


async def test_what_is_typed_when_one_is_logged_out_elsewhere_can_still_be_saved(
    at_screen: AtScreen, db: Database
) -> None:
    person, page = await at_screen("olena")
    await page.goto(person.address + "/tasks/new")
    await live(page)
    await page.get_by_label("What is to be done").fill("Send the oak samples")
    beside = await page.context.new_page()
    await beside.goto(person.address + "/profile")
    await beside.locator("#me > summary").click()
    await beside.get_by_role("button", name="Log out").click()
    await page.get_by_role("button", name="Add task").click()
    toast = page.locator(".toast", has_text="What you typed is still here")
    await expect(toast).to_have_count(1)
    await person.expect_status(401)
    async with page.context.expect_page() as opened:
        await toast.get_by_role("link", name="Log in").click()
    login = await opened.value
    await login.get_by_label("Login").fill("olena")
    await login.get_by_label("Password").fill(PASSWORD)
    await login.get_by_role("button", name="Log in").click()
    await live(login)
    await expect(toast).to_have_count(0)  # it hears again, too
    await expect(page.get_by_label("What is to be done")).to_have_value("Send the oak samples")
    await page.locator("button[name=quick]").first.click()
    await page.wait_for_url("**/tasks")
    await expect(page.get_by_text("Send the oak samples").first).to_be_visible()


async def test_what_is_typed_while_the_answer_is_on_its_way_stays(at_screen: AtScreen, db: Database) -> None:
    person, page = await at_screen("olena")
    await plan(db, "Send samples")
    await page.goto(person.address + "/tasks")
    await live(page)
    field = page.get_by_label("Result of “Send samples”")

    typed = asyncio.Lock()

    async def type_first(route: Route) -> None:
        """The page has asked for its list again; no answer comes before two letters have been typed."""
        async with typed:
            if await field.input_value() == "":
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
