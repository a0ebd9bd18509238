"""Two people on one board in a real Chromium: a move seen by the other, a conflict, a refused move, many cards at once with undo, and
the whole by keyboard alone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from redis.asyncio import Redis

from pbxcrm.deals.models import Deal, Stage
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish, relay
from pbxcrm.shared.settings import Settings
from tests.busy import Busy
from tests.calls import NOON
from tests.e2e.browser import Person, forgetful, live
from tests.filled import Filled
from tests.integration.web.serving import serving
from tests.office import PASSWORD, Office
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
DESK, KITCHEN, CHAIRS = "Reception desk", "Kitchen for Marta", "School chairs, 120 pcs"
SitDown = Callable[..., Awaitable[Page]]


@dataclass
class Shared:
    """A busy office behind a real server, for several people."""

    address: str
    database: Database
    office: Office
    busy: Busy
    browser: Browser

    async def sit_down(self, login: str, path: str = "/board", *, width: int = 1440, locale: str = "en-GB") -> Page:
        context = await self.browser.new_context(viewport={"width": width, "height": 900}, locale=locale)
        page = await Person(context, self.address).log_in(login, PASSWORD)
        await page.goto(self.address + path)
        await live(page)
        return page

    def card(self, page: Page, title: str) -> Locator:
        return page.locator(f"#deal-{self.busy.deals[title]}")

    def column(self, page: Page, stage: str) -> Locator:
        return page.locator(f'.col[data-stage="{self.busy.stages[stage].id}"]')

    async def stage_of(self, title: str) -> int:
        async with self.database.read() as session:
            return (await session.get_one(Deal, self.busy.deals[title])).stage_id


@pytest_asyncio.fixture(loop_scope="session")
async def shared(
    sqlite_url: str,
    redis_url: str,
    tmp_path: Path,
    chromium: Browser,
    begins_with_busy_office: Filled[tuple[Office, Busy]],
) -> AsyncIterator[Shared]:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url)
    async with Redis.from_url(redis_url) as redis:
        database = Database(sqlite_url)
        office, busy = begins_with_busy_office.found(database)
        await relay(database, redis)
        database.after_commit = partial(publish, redis)
        app = create_app(settings, database, redis, clock=lambda: NOON)
        async with serving(app) as address, forgetful(chromium) as browser:
            yield Shared(address, database, office, busy, browser)
        await database.close()


async def test_what_one_moves_moves_at_the_other(shared: Shared) -> None:
    ivan, maria = await shared.sit_down("ivan"), await shared.sit_down("maria")
    await shared.card(ivan, DESK).locator("[data-card]").focus()
    await ivan.keyboard.press("Shift+ArrowRight")
    moved = shared.column(maria, "Invoice agreed").or_(shared.column(maria, "Invoice issued"))
    await expect(moved.locator(f"#deal-{shared.busy.deals[DESK]}")).to_be_visible()


async def test_a_board_that_is_behind_does_not_overwrite(shared: Shared) -> None:
    ivan = await shared.sit_down("ivan")
    async with shared.database.write() as session:  # without a hint: his page has not heard of it yet
        deal = await session.get_one(Deal, shared.busy.deals[DESK])
        deal.stage_id, deal.version = shared.busy.stages["Call held"].id or 0, deal.version + 1
    await shared.card(ivan, DESK).locator("[data-card]").focus()
    await ivan.keyboard.press("x")
    await ivan.keyboard.press("b")
    await ivan.keyboard.press("Enter")
    await ivan.locator("#bulk-move").get_by_role("button", name="Invoice issued").click()
    await expect(ivan.locator("#bulk-job")).to_contain_text("1 refused")
    await expect(ivan.locator("#bulk-job")).to_contain_text("Somebody changed this deal meanwhile")
    assert await shared.stage_of(DESK) == shared.busy.stages["Call held"].id


async def test_many_are_chosen_by_mouse_moved_and_taken_back(shared: Shared) -> None:
    maria = await shared.sit_down("maria")
    await shared.card(maria, DESK).locator(".who").click(modifiers=["Control"])
    await shared.card(maria, CHAIRS).locator(".who").click(modifiers=["Control"])
    bar = maria.locator("#chosen-bar")
    await expect(bar).to_contain_text("2 chosen")
    await maria.keyboard.press("Escape")
    await expect(bar).to_be_hidden()
    await shared.card(maria, KITCHEN).locator(".line").click(modifiers=["Control"])
    await shared.card(maria, DESK).locator(".line").click(modifiers=["Shift"])
    await expect(bar).to_contain_text("2 chosen")
    await bar.get_by_role("button", name="Lost…").click()
    dialog = maria.locator("#bulk-lose")
    await dialog.get_by_label("Why are they lost?").last.fill("Too dear")
    await dialog.get_by_role("button", name="Mark as lost").click()
    job = maria.locator("#bulk-job")
    await expect(job).to_contain_text("2 deals done")
    await expect(bar).to_be_hidden()
    lost = [await shared.stage_of(title) for title in (DESK, KITCHEN)]
    async with shared.database.read() as session:
        assert {(await session.get_one(Stage, each)).kind for each in lost} == {"lost"}
    await job.get_by_role("button", name="Undo").click()  # so few are taken back at once, without a worker
    await expect(job).to_contain_text("has been taken back")
    assert [await shared.stage_of(title) for title in (DESK, KITCHEN)] == [shared.busy.stages["Proposal sent"].id] * 2
    await expect(shared.column(maria, "Proposal sent").locator(f"#deal-{shared.busy.deals[DESK]}")).to_be_visible()


async def test_what_was_refused_is_filled_in_where_it_is_named(shared: Shared) -> None:
    async with shared.database.write() as session:
        stage = await session.get_one(Stage, shared.busy.stages["Invoice issued"].id)
        stage.requires = {"fields": ["source"]}
        (await session.get_one(Deal, shared.busy.deals[DESK])).source = ""
    maria = await shared.sit_down("maria")
    for title in (DESK, KITCHEN):
        await shared.card(maria, title).locator("[data-card]").focus()
        await maria.keyboard.press("x")
    await maria.keyboard.press("b")
    await maria.keyboard.press("Enter")
    await maria.locator("#bulk-move").get_by_role("button", name="Invoice issued").click()
    job = maria.locator("#bulk-job")
    await expect(job).to_contain_text("1 deal done, 1 refused")
    await expect(job).to_contain_text("Source")
    await job.get_by_role("button", name="Fill in and move").click()
    form = maria.locator("#complete")
    await form.get_by_label("Source").fill("Fair")
    await form.get_by_role("button", name="Save and move").click()
    await expect(shared.column(maria, "Invoice issued").locator(f"#deal-{shared.busy.deals[DESK]}")).to_be_visible()
    assert await shared.stage_of(DESK) == shared.busy.stages["Invoice issued"].id


async def test_the_whole_by_keyboard_alone(shared: Shared) -> None:
    maria = await shared.sit_down("maria")
    await maria.keyboard.press("f")
    lamp = maria.get_by_label("Source")
    await lamp.fill("Sales")
    await maria.keyboard.press("Enter")
    await expect(maria.locator(".active .chip")).to_contain_text("Source: Sales")
    await live(maria)
    await shared.card(maria, KITCHEN).locator("[data-card]").focus()
    await maria.keyboard.press("Shift+ArrowDown")
    await expect(maria.locator("#chosen-bar")).to_contain_text("2 chosen")
    await maria.keyboard.press("b")
    for _ in range(5):
        focused = await maria.evaluate("document.activeElement.textContent.trim()")
        if focused == "Tag":
            break
        await maria.keyboard.press("Tab")
    await maria.keyboard.press("Enter")
    await maria.locator("#bulk-tag-name").fill("Fair 2026")
    await maria.keyboard.press("Enter")
    await expect(maria.locator("#bulk-job")).to_contain_text("2 deals done")
    await expect(shared.card(maria, KITCHEN).locator(".tags")).to_contain_text("Fair 2026")


async def test_beside_the_dock_a_whole_column_is_seen(shared: Shared) -> None:
    for width in (1280, 360):
        page = await shared.sit_down("maria", width=width)
        column = shared.column(page, "Proposal sent")
        await column.scroll_into_view_if_needed()
        box = await column.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
