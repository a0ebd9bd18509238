"""Memory of the web process while it shows 10,000 pages to three people: it must not grow. ``PBXCRM_BENCH_PAGES`` sets their number."""

import asyncio
import os
import tempfile
from itertools import count
from pathlib import Path

import httpx2

from pbxcrm.migrations import upgrade
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.bench_funnel import fill
from tests.bench.bench_run import proportional
from tests.bench.full_house import HERE, running
from tests.bench.table import Figure
from tests.databases import running_redis
from tests.office import PASSWORD

PAGES = int(os.environ.get("PBXCRM_BENCH_PAGES", "10000"))
DEALS = 3_000
WARM = PAGES // 5  # pages after which the caches are full
GROWTH_GOAL = 5  # megabytes
LOGINS = ("admin", "maria", "ivan")
ASKED = (
    "/board", "/board?q=client+{n}", "/deals?amount.min={n}", "/deals/{n}", "/contacts/{n}", "/contacts?q=client+{n}", "/calls", "/calls/{n}",
    "/calls?q=0670{n:06}", "/tasks", "/tasks/week", "/callbacks", "/search?q=client+{n}", "/dock", "/shell/rail", "/reports/own_kpi", "/nothing/{n}",
)  # fmt: skip


async def measure(settings: Settings) -> list[Figure]:
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    await fill(db, DEALS)
    await db.close()
    async with running(settings) as (port, process):
        base = f"{HERE}:{port}"
        held: dict[int, float] = {}
        numbers = count()

        async def ask(login: str) -> None:
            async with httpx2.AsyncClient(base_url=base, headers={"origin": base}, timeout=60) as client:
                await client.post("/login", data={"login": login, "password": PASSWORD})
                while (n := next(numbers)) < PAGES:
                    answer = await client.get(ASKED[n % len(ASKED)].format(n=1 + n * 7 % DEALS))
                    assert answer.status_code < 500, answer.text
                    if n % (PAGES // 10) == 0:
                        held[n] = proportional(process) / 1000

        await asyncio.gather(*(ask(login) for login in LOGINS))
        held[PAGES] = proportional(process) / 1000
    warm = held[next(n for n in sorted(held) if n >= WARM)]
    grown = held[PAGES] - warm
    return [
        *(Figure(f"after {n:,} pages", f"{megabytes:.1f} MB") for n, megabytes in sorted(held.items())),
        Figure(f"growth since page {WARM:,}", f"{grown:.1f} MB", f"under {GROWTH_GOAL} MB", grown < GROWTH_GOAL),
    ]


def run() -> list[Figure]:
    with running_redis() as redis_url, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Settings(data_dir=Path(folder), redis_url=redis_url)))
