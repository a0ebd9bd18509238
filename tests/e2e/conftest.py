"""Fixtures: the application behind a real server, and people with real browsers.

One browser is used in the whole session, so everything that uses it runs in the session's event loop (``loop_scope``).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.e2e.browser import Person, forgetful, running_browser
from tests.filled import Filled
from tests.integration.web.conftest import PASSWORD, hire
from tests.integration.web.serving import serving
from tests.waiting import until
from web.app import create_app

expect.set_options(timeout=30_000)  # ms: the machine may be busy; ``expect`` returns as soon as the condition holds
AtScreen = Callable[..., Awaitable[tuple[Person, Page]]]


@pytest_asyncio.fixture(loop_scope="session")
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def begins_with_seeded_people() -> Filled[None]:
    async def fill(database: Database) -> None:
        async with database.write() as session:
            await seed(session, "Europe/Kyiv")
        await hire(database)

    return Filled("seeded_people", fill)


@pytest_asyncio.fixture(loop_scope="session")
async def db(sqlite_url: str, begins_with_seeded_people: Filled[None]) -> AsyncIterator[Database]:
    """An SQLite database with the people of ``PEOPLE`` (ids 1 to 5). Pages do not depend on the kind of database."""
    database = Database(sqlite_url)
    yield database
    await database.close()


@pytest.fixture
def app(settings: Settings, db: Database, redis: Redis) -> Starlette:
    return create_app(settings, db, redis)


@pytest_asyncio.fixture(loop_scope="session")
async def address(app: Starlette) -> AsyncIterator[str]:
    async with serving(app) as url:
        await until(lambda: app.state.parts.hub.online)
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _chromium() -> AsyncIterator[Browser]:
    """One browser for all tests, because it takes a second to start. Every test opens its own windows."""
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(_chromium: Browser) -> AsyncIterator[Browser]:
    async with forgetful(_chromium) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def at_screen(address: str, chromium: Browser) -> AsyncIterator[AtScreen]:
    """``person, page = await at_screen("olena", color_scheme="dark", viewport=…)``: logged in, on the front page.

    With ``login=""`` nobody is logged in. Fails at the end if a page had an error.
    """
    async with AsyncExitStack() as stack:
        people: list[Person] = []

        async def opened(login: str, **context: Any) -> tuple[Person, Page]:
            browser = await stack.enter_async_context(await chromium.new_context(**{"locale": "en-GB", **context}))
            person = Person(browser, address)
            people.append(person)
            page = await person.log_in(login, PASSWORD) if login else await person.page("/login")
            return person, page

        yield opened
        assert [trouble for person in people for trouble in person.troubles] == []
