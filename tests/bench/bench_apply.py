"""Applying calls to the database: the most calls per second, and the lag at 100 calls per second; SQLite and PostgreSQL."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import uvloop

from pbxcrm.cli.parts import set_aside
from pbxcrm.migrations import upgrade
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.table import Figure, percentile
from tests.calls import NOON, FactStory, batch
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import open_office

CALLS = 1_000
AT_ONCE = 20  # calls per batch, as when the database is slower than the PBX
PACE = 100  # calls per second for the lag
SECONDS = 10


def story(number: int) -> FactStory:
    """A client calls and two phones ring. Every second call is not answered; every fifth client calls again."""
    call = FactStory(
        f"17{number:07}.1", client=f"+38067{number % (CALLS * 4 // 5):07}", at=NOON + timedelta(seconds=number)
    ).ring("101", "102")
    return call.wait(5).answer("101").wait(20).end() if number % 2 else call.wait(9).end()


async def measure(url: str, where: str) -> list[Figure]:
    database = Database(url)
    try:
        await open_office(database)
        with tempfile.TemporaryDirectory() as folder:
            intake = Intake(database, Settings(data_dir=Path(folder)))
            stories = [story(number) for number in range(CALLS)]
            started = time.perf_counter()
            for start in range(0, CALLS, AT_ONCE):
                await intake.apply(batch(*stories[start : start + AT_ONCE]))
            speed = CALLS / (time.perf_counter() - started)
            set_aside()  # as the listener does when it has started
            lags = await _lags(intake)
    finally:
        await database.close()
    p99 = percentile(lags, 99)
    return [
        Figure(f"{where}: calls a second at most", f"{speed:,.0f}", f"{PACE}", speed >= PACE),
        Figure(
            f"{where}: lag at {PACE} calls/s, p50 / p99",
            f"{percentile(lags, 50):.0f} / {p99:.0f} ms",
            "p99 under 100 ms",
            p99 < 100,
        ),
    ]


async def _lags(intake: Intake) -> list[float]:
    """Milliseconds from each fact to its commit. The facts arrive at a constant rate, however slow the database is."""
    queue: asyncio.Queue[tuple[float, FactStory]] = asyncio.Queue()
    lags: list[float] = []

    async def phone() -> None:
        began = time.perf_counter()
        for number in range(PACE * SECONDS):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            queue.put_nowait((time.perf_counter(), story(CALLS + number)))

    async def apply() -> None:
        while len(lags) < PACE * SECONDS:
            waiting = [await queue.get()]
            while not queue.empty():
                waiting.append(queue.get_nowait())
            await intake.apply(batch(*(call for _, call in waiting)))
            done = time.perf_counter()
            lags.extend((done - heard) * 1000 for heard, _ in waiting)

    await asyncio.gather(phone(), apply())
    return lags


@asynccontextmanager
async def _sqlite() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        await upgrade(url)
        yield url


def run() -> list[Figure]:
    async def on_sqlite() -> list[Figure]:
        async with _sqlite() as url:
            return await measure(url, "SQLite")

    figures = uvloop.run(on_sqlite())
    programs = postgres_programs()
    if not programs:
        return [*figures, Figure("PostgreSQL", "not installed")]

    with running_postgres(programs) as server:

        async def on_postgres() -> list[Figure]:
            return await measure(await server.create(fresh_name()), "PostgreSQL (fsync off)")

        return [*figures, *uvloop.run(on_postgres())]
