"""Browsers without a screen in a busy office, on both databases. Import the fixtures you use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.busy import Busy
from tests.calls import NOON
from tests.filled import Filled
from tests.logged_in import PLAIN, logged_in
from tests.office import Office
from tests.statements import reading, statements
from web.app import create_app

HOME = "http://crm.example"
Browsers = Callable[..., Awaitable[AsyncClient]]
__all__ = ["HTMX", "BrowserDesk", "Browsers", "browsers", "count_queries", "desk"]
HTMX = {"hx-request": "true", "hx-request-type": "partial"}


@dataclass
class BrowserDesk:
    """What a test needs at hand; ``now`` is the application's moment."""

    database: Database
    settings: Settings
    office: Office
    busy: Busy
    recordings: Path
    now: datetime = NOON


@pytest.fixture
def desk(
    database: Database, settings: Settings, tmp_path: Path, begins_with_busy_office: Filled[tuple[Office, Busy]]
) -> BrowserDesk:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    chosen = Settings(data_dir=tmp_path, database_url=settings.database_url, recordings_dir=recordings)
    office, busy = begins_with_busy_office.found(database)
    return BrowserDesk(database, chosen, office, busy, recordings)


@pytest.fixture
async def browsers(desk: BrowserDesk, redis_url: str) -> AsyncIterator[Browsers]:
    """``await browsers("ivan")`` is Ivan's browser, logged in."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        app = create_app(desk.settings, desk.database, redis, clock=lambda: desk.now)

        async def opened(login: str) -> AsyncClient:
            client = AsyncClient(
                transport=ASGITransport(app), base_url=HOME, headers={**PLAIN, "accept": "text/html", "origin": HOME}
            )
            await stack.enter_async_context(client)
            client.cookies.update(await logged_in(desk.database, login, desk.now))
            return client

        yield opened


async def count_queries(database: Database, client: AsyncClient, path: str) -> int:
    """How many statements a page asks the database, once people and stages are kept in memory."""
    await client.get(path)
    with statements(database) as sent:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return len(reading(sent))
