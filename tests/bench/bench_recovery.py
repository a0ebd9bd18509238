"""How long a page is out of date after an outage: from the return of the part to the right card in Chromium.

The whole product runs as separate processes beside a simulated PBX. A part is killed (``kill -9``) or a connection is cut, and a
call starts at the desk meanwhile. Then the supervisor restarts the part, or the connection is restored. The page is not reloaded.
``[RECOVERY_ROUNDS=5] python -m tests.bench recovery``.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from playwright.async_api import Page
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlmodel import func, select

from pbxcrm.calls.models import CallLeg
from pbxcrm.shared.db import Database
from pbxcrm.shared.redis_server import redis_url
from pbxcrm.shared.settings import Settings
from tests.bench.bench_popup import STORY, WATCH, WatchedPbx, extension, product
from tests.bench.table import Figure
from tests.e2e.browser import asleep, live, running_browser
from tests.e2e.cable import Cable, cable
from tests.running import Running
from tests.waiting import until

ROUNDS = int(os.environ.get("RECOVERY_ROUNDS", "5"))
DESK = 1
GOAL_MS = 1000
AWAY_SECONDS = 6.0  # how long the cable is out: long enough that the page says it is not live


@dataclass
class RecoveryOffice:
    """The product, the PBX, and the browser of a desk behind a proxy that can be cut."""

    run: Running
    pbx: WatchedPbx
    page: Page
    cable: Cable
    settings: Settings

    def ring(self) -> None:
        """Start a call from a client: the desk's phone rings and is answered."""
        phones = {"101": extension(11), "102": extension(DESK), "103": extension(12)}
        self.pbx._start(self.pbx._stories[STORY], self.pbx._crowd.somebody(), phones)

    async def legs(self) -> int:
        """How often the desk's phone has rung so far, according to the database."""
        db = Database(self.settings.database_url)
        try:
            async with db.read() as session:
                return (await session.exec(select(func.count()).where(CallLeg.extension == extension(DESK)))).one()
        finally:
            await db.close()

    async def cards(self) -> dict[str, float]:
        """Each card that appeared so far, with the time in seconds since 1970."""
        seen: dict[str, float] = await self.page.evaluate("() => window.seen")
        return {name: at / 1000 for name, at in seen.items()}

    async def ringing_seen(self, before: int) -> float:
        """Wait for a card beyond the first ``before`` ones, and return when it appeared."""

        async def more() -> bool:
            return len(await self.cards()) > before

        await until(more, 60)
        return max((await self.cards()).values())


@asynccontextmanager
async def office(folder: Path) -> AsyncIterator[RecoveryOffice]:
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(WatchedPbx())
        run = await stack.enter_async_context(product(folder, pbx))
        between = await stack.enter_async_context(cable(urlsplit(run.address).port or 0))
        browser = await stack.enter_async_context(running_browser())
        context = await stack.enter_async_context(await browser.new_context(locale="en-GB"))
        await context.add_cookies([{"name": "pbxcrm_session", "value": f"token-{DESK}", "url": between.address}])
        await context.add_init_script(WATCH)
        page = await context.new_page()
        await page.goto(f"{between.address}/tasks")
        await live(page)
        yield RecoveryOffice(run, pbx, page, between, Settings(data_dir=folder))


async def kill(of: RecoveryOffice, part: str) -> None:
    pid = of.run.parts()[part]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: of.run.parts().get(part, pid) != pid, 60)


async def answers(of: RecoveryOffice) -> None:
    """Wait until the web process answers at its own socket, not through the proxy."""
    at = urlsplit(of.run.address)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)  # the supervisor keeps the socket open
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()


async def redis_answers(of: RecoveryOffice) -> None:
    async with Redis.from_url(redis_url(of.settings)) as redis:

        async def ping() -> bool:
            try:
                return bool(await redis.ping())
            except (RedisError, OSError):
                return False

        await until(ping, 60)


async def web_is_killed(of: RecoveryOffice) -> float:
    await kill(of, "web")
    of.ring()
    await answers(of)
    return time.time()


async def redis_is_killed(of: RecoveryOffice) -> float:
    await kill(of, "redis")
    of.ring()
    await redis_answers(of)
    return time.time()


async def cable_is_pulled(of: RecoveryOffice) -> float:
    of.cable.pull()
    of.ring()
    await asyncio.sleep(AWAY_SECONDS)  # the duration itself is the test condition
    of.cable.put_back()
    return time.time()


async def machine_sleeps(of: RecoveryOffice) -> float:
    """The laptop sleeps, and the network drops its connections without notice."""
    with asleep():
        of.cable.forget()
        of.ring()
        await asyncio.sleep(AWAY_SECONDS)
    return time.time()


async def listener_is_killed(of: RecoveryOffice) -> float:
    """The part counts as back when the call is in the database."""
    before = await of.legs()
    await kill(of, "listen")
    of.ring()

    async def known() -> bool:
        return await of.legs() > before

    await until(known, 60)
    return time.time()


async def times(
    of: RecoveryOffice, away: Callable[[RecoveryOffice], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    """Milliseconds to the card in each round, from the part's return and from its death."""
    after_return, after_death = [], []
    for _ in range(ROUNDS):
        await until(of.run.well, 60)
        await live(of.page)
        before = len(await of.cards())
        died = time.time()
        back = await away(of)
        seen = await of.ringing_seen(before)
        after_return.append(max(0.0, seen - back) * 1000)
        after_death.append((seen - died) * 1000)
        await until(lambda: not of.pbx.going_on, 60)
    return after_return, after_death


async def measure(folder: Path) -> list[Figure]:
    figures = []
    async with office(folder) as of:
        for name, away in (
            ("web process killed", web_is_killed),
            ("Redis killed", redis_is_killed),
            ("listener killed", listener_is_killed),
            (f"browser asleep for {AWAY_SECONDS:.0f} s, its link dead", machine_sleeps),
            (f"network away for {AWAY_SECONDS:.0f} s", cable_is_pulled),
        ):
            after_return, after_death = await times(of, away)
            measured = f"{sorted(after_return)[ROUNDS // 2]:.0f} ms, worst of {ROUNDS}: {max(after_return):.0f} ms"
            worst = max(after_return)
            figures.append(
                Figure(f"{name}: from its return to the right card", measured, f"< {GOAL_MS} ms", worst < GOAL_MS)
            )
            whole = f"{sorted(after_death)[ROUNDS // 2] / 1000:.1f} s, worst {max(after_death) / 1000:.1f} s"
            figures.append(Figure(f"{name}: from its end to the right card", whole))
    return figures


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(measure(Path(folder)))
