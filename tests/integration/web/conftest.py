"""The application on both databases with an office of people, and browsers of theirs without a screen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.people import actions
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.filled import Filled
from tests.logged_in import PLAIN, logged_in
from web.app import create_app

HOME = "http://crm.example"
PASSWORD = "correct horse"
PEOPLE: tuple[tuple[str, str, str, list[str], str | None], ...] = (
    ("olena", "Олена Шевченко", "seller", ["101"], "Sales"),
    ("dmytro", "Dmytro Koval", "seller", ["102"], "Support"),
    ("iryna", "Ірина Мельник", "manager", ["103"], "Sales"),
    ("petro", "Petro Lys", "qc", [], None),
    ("admin", "Адміністратор", "admin", [], None),
)


class SetClock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def hire(database: Database, now: datetime | None = None) -> None:
    """Everybody of ``PEOPLE``, with the ids 1 to 5."""
    hashed = await hash_password(PASSWORD)
    async with database.write() as session:
        for login, name, role, extensions, team in PEOPLE:
            await actions.add_user(
                session,
                login=login,
                name=name,
                role=role,
                password_hash=hashed,
                extensions=extensions,
                team=team,
                now=now,
            )


# One for the process: a module of another folder that imports the fixture has a second one, which must not fill a second database.
_PEOPLE = Filled("people", lambda database: hire(database, SetClock().now))


@pytest.fixture(scope="session")
def begins_with_people() -> Filled[None]:
    return _PEOPLE


@pytest.fixture
def app(
    settings: Settings, database: Database, redis: Redis, clock: SetClock, begins_with_people: Filled[None]
) -> Starlette:
    return create_app(settings, database, redis, clock=clock)


Browsers = Callable[..., Awaitable[AsyncClient]]


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[Browsers]:
    """``await browser()`` is a browser nobody is logged in with; ``await browser("olena")`` is Olena's, ``by_form`` where that is the matter."""
    async with AsyncExitStack() as stack:

        async def opened(login: str = "", *, by_form: bool = False, **headers: str) -> AsyncClient:
            transport = ASGITransport(app, raise_app_exceptions=False)
            client = AsyncClient(
                transport=transport, base_url=HOME, headers={**PLAIN, "accept": "text/html", "origin": HOME, **headers}
            )
            await stack.enter_async_context(client)
            if login and not by_form:
                client.cookies.update(await logged_in(app.state.parts.db, login, app.state.parts.clock()))
            elif login:
                answer = await client.post("/login", data={"login": login, "password": PASSWORD})
                assert answer.status_code == 303, answer.text
            return client

        yield opened
