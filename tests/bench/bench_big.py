"""Every list, counter and search after ten years of a big office, as each role, at two sizes: server time, bytes, queries, and how
much slower ten times the rows are. From nothing: it starts PostgreSQL, fills it and deletes it (``make bench-big``).

PostgreSQL: 1,000,000 clients, 3,000,000 deals, 10,000,000 calls (15 GB). SQLite: 100,000, 300,000 and 1,000,000.
``PBXCRM_BENCH_ON=sqlite`` or ``postgresql`` measures one of them; ``PBXCRM_BENCH_ROUNDS`` sets how often each page is asked,
``PBXCRM_BENCH_SCALE=0.01`` takes a hundredth of the rows, to try the way. ``PBXCRM_BENCH_KEEP`` names a folder in which the filled
databases stay and are found by the next run.
"""

import asyncio
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

import httpx2
from redis.asyncio import Redis

from pbxcrm.cli.parts import set_aside
from pbxcrm.migrations import upgrade
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.big_years import BIG, SMALL, TENTH_OF_SMALL, TenYears, YearsSize
from tests.bench.full_house import HERE, processor_time
from tests.bench.table import Figure, percentile
from tests.databases import postgres_programs, running_postgres, running_redis
from tests.office import PASSWORD, open_office
from tests.statements import statements
from web.app import create_app

ROUNDS = int(os.environ.get("PBXCRM_BENCH_ROUNDS", "15"))
SCALE = float(os.environ.get("PBXCRM_BENCH_SCALE", "1"))
GOAL, RATIO = 100.0, 1.5  # milliseconds; how much slower ten times the rows may be
NOISE = 10.0  # milliseconds: less than this is no slowdown

LISTS = (
    "/board", "/board?mine=1", "/board/heads", "/board?sort=lamp", "/board?q=dubova", "/board?q=коваленко", "/board?q=шевченко+олена", "/board?q=067123", "/board?q=nobodyatall",
    "/calls", "/calls?mine=1", "/calls?outcome=missed", "/calls?q=коваленко", "/calls?q=олена", "/calls?q=067+12", "/calls?q=0671234567", "/calls?q=nobodyatall", "/calls?q=777",
    "/contacts", "/contacts?q=коваленко", "/contacts?q=олена", "/contacts?q=шевченко+олена", "/contacts?q=Kovalenko", "/contacts?q=067+123", "/contacts?q=nobodyatall",
    "/contacts?q=777", "/companies", "/companies?q=коваль", "/companies?q=nobodyatall",
    "/tasks", "/tasks?who=team", "/tasks?state=done", "/tasks?q=паркет", "/tasks?state=done&q=паркет", "/tasks/week",
    "/callbacks", "/burning", "/shell/rail",
    "/search?q=олена", "/search?q=коваленко", "/search?q=шев", "/search?q=олена+шевченко", "/search?q=Kovalenko", "/search?q=067+123+45", "/search?q=777",
    "/search?q=rjdfktyrj", "/search?q=кавленко", "/search?q=паркет+дуб", "/search?q=знижку", "/search?q=client4", "/search?q=nobodyatall", "/search?q=тов+ковалбуд",
)  # fmt: skip
LOGINS = ("seller1", "maria", "admin", "ivan")  # Ivan has nothing yet; Maria leads ten sellers


@dataclass(frozen=True, slots=True)
class MeasuredPage:
    """One page as one person: milliseconds at the median and the 95th percentile, bytes, and queries of the last request.

    ``cpu``: milliseconds of processor time, the median of ours plus the mean of PostgreSQL's; other work on the machine changes it less.
    """

    p50: float
    p95: float
    size: int
    queries: int
    cpu: float = 0.0


async def measure(
    db: Database,
    settings: Settings,
    redis_url: str,
    paths: tuple[str, ...] = LISTS,
    server: int | None = None,
    logins: tuple[str, ...] = LOGINS,
) -> dict[tuple[str, str], MeasuredPage]:
    """Ask every page as everybody; the first two requests of each are not counted."""
    found: dict[tuple[str, str], MeasuredPage] = {}
    async with Redis.from_url(redis_url) as redis:
        inside = httpx2.ASGITransport(create_app(settings, db, redis))
        async with httpx2.AsyncClient(transport=inside, base_url=HERE, headers={"origin": HERE}, timeout=120) as client:
            set_aside()
            for login in logins:
                client.cookies.clear()
                entered = await client.post("/login", data={"login": login, "password": PASSWORD})
                assert entered.status_code == 303, entered.text
                for path in paths:
                    if (asked := await _ask(client, db, path, server)) is not None:
                        found[login, path] = asked
    return found


async def _ask(client: httpx2.AsyncClient, db: Database, path: str, server: int | None) -> MeasuredPage | None:
    took: list[float] = []
    computed: list[float] = []
    size = queries = 0
    before = 0.0
    for n in range(ROUNDS + 2):
        if n == 2:
            before = processor_time(server)
        with statements(db) as sent:
            began, own = perf_counter(), process_time()
            answer = await client.get(path)
            spent = (perf_counter() - began) * 1000
        if answer.status_code == 403:
            return None
        assert answer.status_code in {200, 503}, f"{path}: {answer.status_code}"  # 503: the database took three seconds
        size, queries = answer.num_bytes_downloaded, len(sent)  # as sent: compressed
        if n >= 2:
            took.append(spent)
            computed.append((process_time() - own) * 1000)
        if n >= 4 and spent > 20 * GOAL:
            break  # no need to measure it more exactly
    of_server = (processor_time(server) - before) * 1000 / len(took)
    return MeasuredPage(percentile(took, 50), percentile(took, 95), size, queries, percentile(computed, 50) + of_server)


async def filled_and_measured(
    url: str, size: YearsSize, redis_url: str, done: Path, server: int | None = None
) -> dict[tuple[str, str], MeasuredPage]:
    """Measure the database at ``url``. It is filled unless there is the file ``done``, which is made then."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), redis_url=redis_url, database_url=url)
        db = Database(settings.database_url)
        began = perf_counter()
        try:
            if not done.exists():
                await upgrade(settings.database_url)
                await open_office(db)
                await TenYears(db, size.scaled(SCALE), datetime.now(UTC).replace(microsecond=0)).fill()
                done.touch()
                _say(f"{done.name} after {perf_counter() - began:.0f} s")
            began = perf_counter()
            measured = await measure(db, settings, redis_url, server=server)
            _say(f"{done.stem} measured in {perf_counter() - began:.0f} s")
            return measured
        finally:
            await db.close()


def _say(what: str) -> None:
    """An hour without a word would look like a program that hangs."""
    print(f"{datetime.now(UTC):%H:%M} load {os.getloadavg()[0]:.0f}: {what}", file=sys.stderr, flush=True)


def figures(
    on: str, tenth: dict[tuple[str, str], MeasuredPage], full: dict[tuple[str, str], MeasuredPage]
) -> list[Figure]:
    """One row for each page and person: at a tenth of the rows, at all of them, and the ratio of the medians."""
    rows = []
    for (login, path), big in full.items():
        small = tenth[login, path]
        ratio = big.p50 / small.p50
        flat = ratio <= RATIO or big.p50 - small.p50 < NOISE
        measured = f"{small.p50:.0f}/{small.p95:.0f} → {big.p50:.0f}/{big.p95:.0f} ms, ×{ratio:.1f}, CPU {small.cpu:.0f} → {big.cpu:.0f} ms, {big.size / 1000:.0f} kB, {big.queries} queries"
        rows.append(Figure(f"{on}: {path} as {login}", measured, f"{GOAL:.0f} ms, ×{RATIO}", big.p95 < GOAL and flat))
    over = sum(row.reached is False for row in rows)
    return [*rows, Figure(f"{on}: pages that miss a goal", f"{over} of {len(rows)}", "0", over == 0)]


def run() -> list[Figure]:
    """Measure what ``PBXCRM_BENCH_ON`` names, else both databases."""
    only, rows = os.environ.get("PBXCRM_BENCH_ON", ""), []
    kept = os.environ.get("PBXCRM_BENCH_KEEP")
    with running_redis() as redis_url, nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        programs = postgres_programs() if only != "sqlite" else None
        if programs is not None:
            rows += _on_postgres(programs, place, redis_url, place / "postgresql" if kept else None)
        if only != "postgresql":
            small, big = (
                asyncio.run(
                    filled_and_measured(
                        f"sqlite:///{place}/{name}.db", size, redis_url, place / f"sqlite-{name}.filled"
                    )
                )
                for name, size in (("tenth", TENTH_OF_SMALL), ("full", SMALL))
            )
            rows += figures("SQLite", small, big)
    return rows


def _on_postgres(programs: Path, place: Path, redis_url: str, kept: Path | None) -> list[Figure]:
    with running_postgres(programs, on_disk=True, kept=kept) as server:
        process = int((server.folder / "data" / "postmaster.pid").read_text().partition("\n")[0])
        found = []
        for name, size in (("tenth", SMALL), ("full", BIG)):
            done = place / f"postgresql-{name}.filled"
            if not done.exists():
                server.drop(name)  # what a run before may have left half filled
                asyncio.run(server.create(name))
            found.append(asyncio.run(filled_and_measured(server.url(name), size, redis_url, done, process)))
    return figures("PostgreSQL", *found)
