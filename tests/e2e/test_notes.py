"""The note on a call card while saving it does not go as it should."""

import pytest
from playwright.async_api import Browser, Page, Route, expect
from sqlmodel import select
from starlette.applications import Starlette

from pbxcrm.deals.models import Note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import batch
from tests.e2e.browser import Person, live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from tests.integration.web.conftest import PASSWORD
from tests.integration.web.serving import serving
from tests.waiting import until

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def saved(db: Database) -> str:
    async with db.read() as session:
        note = (await session.exec(select(Note))).one_or_none()
        return note.text if note else ""


async def is_saved(db: Database, text: str) -> None:
    async def so() -> bool:
        return await saved(db) == text

    await until(so)


async def talk(page: Page, intake: Intake) -> None:
    """A call on the card, and the caret in its note."""
    await live(page)
    await intake.apply(batch(story(1).ring("101").answer("101")))
    await page.locator("#call-1-note").click()


async def test_a_server_that_was_away_gets_what_was_typed_meanwhile(
    app: Starlette, chromium: Browser, intake: Intake, db: Database
) -> None:
    async with serving(app) as address:
        await until(lambda: app.state.parts.hub.online)
        page = await Person(await chromium.new_context(locale="en-GB"), address).log_in("olena", PASSWORD)
        await talk(page, intake)
        note, toasts = page.locator("#call-1-note"), page.locator("#toasts")
        await page.keyboard.type("oak")
        await expect(note).to_have_attribute("data-state", "saved")
    await page.keyboard.type(", not ash")
    await expect(note).to_have_attribute("data-state", "failed")
    await expect(toasts.get_by_role("alert")).to_have_count(1)
    await expect(toasts).to_contain_text("A note could not be saved yet.")
    assert await saved(db) == "oak"
    async with serving(app, int(address.rpartition(":")[2])):
        await expect(note).to_have_attribute("data-state", "saved")
        await expect(toasts.get_by_role("alert")).to_have_count(0)
        assert await saved(db) == "oak, not ash"
        await page.close()


async def test_what_failed_is_saved_when_the_page_is_left(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    person, page = await at_screen("olena")
    await talk(page, intake)
    async with person.offline():
        await page.keyboard.type("oak")
        await expect(page.locator("#call-1-note")).to_have_attribute("data-state", "failed")
    await page.goto(person.address + "/tasks")  # sooner than it would have been tried again
    await is_saved(db, "oak")


async def test_a_save_waits_for_the_one_before(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    _, page = await at_screen("olena")
    await talk(page, intake)
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await page.route("**/dock/1/note", hold)
    note = page.locator("#call-1-note")
    await page.keyboard.type("oak")
    await until(lambda: held)
    await page.keyboard.type(", not ash")
    await note.blur()  # leaving the field saves
    await page.evaluate("() => fetch('/profile')")  # and would have been on its way before this
    assert len(held) == 1
    await held[0].continue_()
    await until(lambda: len(held) == 2)
    await expect(note).to_have_attribute("data-state", "typing")
    await held[1].continue_()
    await is_saved(db, "oak, not ash")
