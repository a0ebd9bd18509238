"""The board, and its list, with many deals: first paint, filters, a move; server time and bytes. PostgreSQL, else SQLite.

``PBXCRM_BENCH_DEALS=DEALS`` sets the number of deals; 5,000 of them are open.
"""

import asyncio
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from time import perf_counter

import httpx2
from redis.asyncio import Redis
from sqlalchemy import text

from pbxcrm.cli.parts import set_aside
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.migrations import upgrade
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.bench_funnel import fill
from tests.bench.full_house import HERE
from tests.bench.table import Figure, percentile
from tests.databases import fresh_name, postgres_programs, running_postgres, running_redis
from tests.office import PASSWORD
from web.app import create_app

ROUNDS, OPEN = 20, 5_000
GOAL_MS, GOAL_KB = 100, 100
PAGES = (
    "/board", "/board?sort=lamp", "/board?amount.min=5000", "/board?field.area.min=900", "/board?no_task=1", "/board/heads",
    "/deals", "/deals?sort=-amount", "/deals?sort=-field.area", "/deals?field.area.min=900&status=open",
)  # fmt: skip


async def measure(settings: Settings, redis_url: str, on: str, deals: int) -> list[Figure]:
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    try:
        office, _stage, now = await fill(db, deals, open_every=max(1, deals // OPEN))
        async with db.write() as session:
            admin = await office.viewer(session, "admin")
            draft = FieldDraft(name="Area", filterable=True)
            made = await create_field(
                session, admin, entity=FieldEntity.DEAL, kind="number", key="area", draft=draft, currency="UAH", now=now
            )
            place = made.id
        value = (
            f"jsonb_build_object('{place}', (id % 1000)::bigint * 1000000)"
            if not db.is_sqlite
            else f"json_object('{place}', (id % 1000) * 1000000)"
        )
        async with db.engine.begin() as connection:
            await connection.execute(text(f"UPDATE deals SET custom = {value}"))
        await _indexed(db, place or 0, now)
        async with db.engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
        async with Redis.from_url(redis_url) as redis:
            inside = httpx2.ASGITransport(create_app(settings, db, redis))
            async with httpx2.AsyncClient(transport=inside, base_url=HERE, headers={"origin": HERE}) as client:
                set_aside()
                figures: list[Figure] = []
                for login in ("admin", "maria", "ivan"):
                    client.cookies.clear()
                    await client.post("/login", data={"login": login, "password": PASSWORD})
                    figures += [await _page(client, f"{on}: {path} as {login}", path) for path in PAGES]
                    figures.append(await _moves(client, f"{on}: a move as {login}"))
                return figures
    finally:
        await db.close()


async def _indexed(db: Database, field_id: int, now: datetime) -> None:
    """The worker makes the index of a field beside its other work: it is there when the field says so."""
    async with asyncio.timeout(600):
        while True:
            await work_on(db, now)
            async with db.read() as session:
                if (await session.get_one(FieldDefinition, field_id)).indexed_at is not None:
                    return
            await asyncio.sleep(0.1)  # nothing tells when a task beside is over


async def _page(client: httpx2.AsyncClient, name: str, path: str) -> Figure:
    clock: list[float] = []
    for _ in range(ROUNDS + 2):
        began = perf_counter()
        answer = await client.get(path)
        clock.append((perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    kb = answer.num_bytes_downloaded / 1000  # as sent: compressed
    high = percentile(clock[2:], 95)
    said = f"{percentile(clock[2:], 50):.0f} / {high:.0f} ms, {kb:.0f} kB"
    return Figure(name, said, f"{GOAL_MS} ms, {GOAL_KB} kB", high < GOAL_MS and kb < GOAL_KB)


async def _moves(client: httpx2.AsyncClient, name: str) -> Figure:
    page = (await client.get("/board")).text
    cards = re.findall(r'data-deal="(\d+)" data-stage="(\d+)" data-version="(\d+)"', page)
    stages = re.findall(r'class="col open[^"]*" data-stage="(\d+)"', page)
    clock: list[float] = []
    for n, (deal, stage, version) in enumerate(cards[: ROUNDS + 2]):
        target = next(each for each in [*stages[n % len(stages) :], *stages] if each != stage)
        data = {"board": "1", "stage_id": target, "version": version}
        began = perf_counter()
        answer = await client.post(f"/deals/{deal}/move", data=data, headers={"hx-request": "true"})
        clock.append((perf_counter() - began) * 1000)
        if answer.status_code not in {200, 422}:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")
    high = percentile(clock[2:], 95)
    return Figure(name, f"{percentile(clock[2:], 50):.0f} / {high:.0f} ms", f"{GOAL_MS} ms", high < GOAL_MS)


def run() -> list[Figure]:
    deals = int(os.environ.get("PBXCRM_BENCH_DEALS", "50000"))
    programs = postgres_programs()

    async def on_postgres(redis_url: str, database_url: str) -> list[Figure]:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder), redis_url=redis_url, database_url=database_url)
            return await measure(settings, redis_url, "PostgreSQL" if database_url else "SQLite", deals)

    with running_redis() as url:
        if programs is None:
            return asyncio.run(on_postgres(url, ""))
        with running_postgres(programs) as server:

            async def everything() -> list[Figure]:
                return await on_postgres(url, await server.create(fresh_name()))

            return asyncio.run(everything())
