"""An office with calls, and programs that ask the real application about it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from redis.asyncio import Redis

from pbxcrm.people.api_tokens import create_token
from pbxcrm.reactions.caller_lookup import Lookup
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.logged_in import PLAIN
from tests.office import Office
from web.app import create_app


@dataclass
class Programs:
    """``as_("ivan")`` is a client with a token of ivan's; ``nobody`` has none. The clock stands at ``NOON``."""

    db: Database
    office: Office
    transport: httpx2.ASGITransport

    async def as_(self, login: str) -> httpx2.AsyncClient:
        async with self.db.write() as session:
            token = await create_token(session, self.office[login], now=NOON)
        return self.client({"Authorization": f"Bearer {token}"})

    def client(self, headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=self.transport, base_url="http://crm", headers={**PLAIN, **(headers or {})})


@pytest.fixture
async def programs(database: Database, settings: Settings, redis_url: str, office: Office) -> AsyncIterator[Programs]:
    redis = Redis.from_url(redis_url)
    app = create_app(settings, database, redis, clock=lambda: NOON)
    app.state.lookup = Lookup(
        database, settings, lambda: NOON, patience=30
    )  # what is found is asked, however busy the machine is
    yield Programs(database, office, httpx2.ASGITransport(app))
    await redis.aclose()


async def hear(db: Database, settings: Settings, *stories: FactStory) -> None:
    """Let the office live through these calls."""
    await Intake(db, settings).apply(batch(*stories))
