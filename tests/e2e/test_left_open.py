"""A board that stays open over night, and over an upgrade of the product, in a real Chromium."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect
from redis.asyncio import Redis

from pbxcrm.deals.models import Deal
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish, relay
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task
from tests.busy import Busy
from tests.calls import NOON
from tests.e2e.browser import Person, forgetful, live
from tests.filled import Filled
from tests.integration.web.serving import serving
from tests.office import PASSWORD, Office
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Night:
    """An office whose clock the test turns, and a board that somebody left open."""

    address: str
    database: Database
    office: Office
    busy: Busy
    browser: Browser
    now: datetime = NOON

    async def sit_down(self, page: Page) -> None:
        await page.goto(f"{self.address}/board")
        await live(page)

    async def person(self, login: str) -> Page:
        context = await self.browser.new_context(viewport={"width": 1440, "height": 900})
        page = await Person(context, self.address).log_in(login, PASSWORD)
        await page.clock.install(time=self.now)
        return page


@pytest_asyncio.fixture(loop_scope="session")
async def night(
    sqlite_url: str,
    redis_url: str,
    tmp_path: Path,
    chromium: Browser,
    begins_with_busy_office: Filled[tuple[Office, Busy]],
) -> AsyncIterator[Night]:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url)
    async with Redis.from_url(redis_url) as redis:
        database = Database(sqlite_url)
        office, busy = begins_with_busy_office.found(database)
        await relay(database, redis)
        database.after_commit = partial(publish, redis)
        found = Night("", database, office, busy, chromium)
        app = create_app(settings, database, redis, clock=lambda: found.now)
        async with serving(app) as address, forgetful(chromium) as browser:
            found.address, found.browser = address, browser
            yield found
        await database.close()


async def test_in_the_morning_nothing_is_said_to_be_today_that_was_yesterday(night: Night) -> None:
    title, deal_id = next(iter(night.busy.deals.items()))
    async with night.database.write() as session:
        maria = await night.office.viewer(session, "maria")
        deal = await session.get_one(Deal, deal_id)
        deal.responsible_id = maria.user_id
        due = NOON + timedelta(minutes=5)  # the first of its tasks
        await create_task(session, maria, title="Send it", due_at=due, deal_id=deal_id, now=NOON)
    page = await night.person("maria")
    await night.sit_down(page)
    card = page.locator(f"#deal-{deal_id}")
    await expect(card, title).to_contain_text("today")
    night.now = NOON + timedelta(days=1)
    await page.clock.fast_forward("24:00:00")
    await expect(card).to_contain_text("yesterday")
    await expect(card).not_to_contain_text("today")


async def test_a_page_of_an_older_version_says_so(night: Night) -> None:
    """The page is as an older server has made it: its scripts have another address, under which the new server gives the new ones."""
    page = await night.person("maria")

    async def older(route: Route) -> None:
        answer = await route.fetch()
        body = re.sub(r'(data-worker="/static/)[0-9a-f]+/', r"\g<1>0123456789ab/", await answer.text())
        await route.fulfill(response=answer, body=body)

    await page.route("**/board", older)
    await night.sit_down(page)
    toast = page.locator("#toasts")
    await expect(toast).to_contain_text("A new version is running")
    await page.unroute("**/board")
    await toast.get_by_role("button", name="Load again").click()
    await live(page)
    await expect(page.locator("#toasts")).not_to_contain_text("A new version is running")
