"""The application behind a real server, and people at real browsers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.db import Database
from pbxcrm.deals.seed import seed
from pbxcrm.people import actions
from pbxcrm.people.passwords import hash_password
from pbxcrm.settings import Settings
from tests.e2e.browser import Person, running_browser
from tests.integration.web.conftest import PASSWORD, PEOPLE
from tests.integration.web.serving import serving
from tests.waiting import until
from web.app import create_app

AtScreen = Callable[..., Awaitable[tuple[Person, Page]]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def db(sqlite_url: str) -> AsyncIterator[Database]:
    """One database (what a browser sees does not depend on which), with the people of ``PEOPLE``: ids 1 to 5."""
    database = Database(sqlite_url)
    hashed = await hash_password(PASSWORD)
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        for login, name, role, extensions, team in PEOPLE:
            await actions.add_user(
                session, login=login, name=name, role=role, password_hash=hashed, extensions=extensions, team=team
            )
    yield database
    await database.close()


@pytest.fixture
def app(settings: Settings, db: Database, redis: Redis) -> Starlette:
    return create_app(settings, db, redis)


@pytest.fixture
async def address(app: Starlette) -> AsyncIterator[str]:
    async with serving(app) as url:
        await until(lambda: app.state.parts.hub.online)
        yield url


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


@pytest.fixture
async def at_screen(address: str, chromium: Browser) -> AsyncIterator[AtScreen]:
    """``person, page = await at_screen("olena", color_scheme="dark", viewport=…)``: logged in, at the front page.

    With ``login=""`` nobody is logged in. At the end no page may have complained about anything.
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
