"""The application around a desk of callbacks, on both databases. Import the fixtures you use."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.shared.settings import Pbx, Settings
from tests.calls import NOON
from tests.integration.callbacks.conftest import MISSED_AT, CallbackDesk, desk
from tests.logged_in import PLAIN, logged_in
from web.app import create_app

__all__ = ["HOME", "HTMX", "CallbackSite", "desk", "press", "site"]
HOME = "http://crm.example"
HTMX = {"hx-request": "true"}


class CallbackSite:
    """The application at a moment the test chooses; ``open`` gives somebody's browser."""

    def __init__(self, desk: CallbackDesk, settings: Settings, redis: Redis, stack: AsyncExitStack) -> None:
        self.desk, self.now, self._stack = desk, MISSED_AT + timedelta(minutes=2), stack
        self.app: Starlette = create_app(settings, desk.database, redis, clock=self.clock)

    def clock(self) -> datetime:
        return self.now

    async def open(self, login: str) -> AsyncClient:
        headers = {**PLAIN, "origin": HOME, "accept": "text/html"}
        client = AsyncClient(transport=ASGITransport(self.app), base_url=HOME, headers=headers)
        await self._stack.enter_async_context(client)
        client.cookies.update(await logged_in(self.desk.database, login, self.now))
        return client


@pytest.fixture
async def site(desk: CallbackDesk, redis_url: str, tmp_path: Path) -> AsyncIterator[CallbackSite]:
    settings = Settings(data_dir=tmp_path, pbxs=(Pbx(name="default", ami_url="ami://u:s@127.0.0.1"),))
    async with desk.database.write() as session:
        session.add(PbxStatus(pbx="default", state="listening", lease_until=NOON + timedelta(days=1)))
    async with AsyncExitStack() as stack, Redis.from_url(redis_url) as redis:
        yield CallbackSite(desk, settings, redis, stack)


async def press(client: AsyncClient, path: str, page: str = "/callbacks", **fields: object) -> Response:
    """What a button of a page sends."""
    return await client.post(path, data=fields, headers={**HTMX, "hx-current-url": HOME + page})
