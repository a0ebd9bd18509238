"""Stage editor, board, reports and counters over a million deals of five years; SQLite and PostgreSQL.

``PBXCRM_BENCH_DEALS=DEALS`` sets the number of deals.
"""

import asyncio
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import httpx2
from redis.asyncio import Redis
from sqlmodel import col, select

from pbxcrm.cli.parts import set_aside
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.migrations import upgrade
from pbxcrm.people.api_tokens import create_token
from pbxcrm.reports.report import all_reports
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.big_funnel import Filler, fill_deals
from tests.bench.full_house import HERE, House, times
from tests.bench.table import Figure, percentile
from tests.databases import Postgres, fresh_name, postgres_programs, running_postgres, running_redis
from tests.office import PASSWORD, Office, open_office
from web.app import create_app
from web.routes import COUNTERS

ROUNDS, OF_COUNTERS = 12, 50
GOAL, REPORT_GOAL = 100, 1000  # milliseconds
YEARS = 5


async def measure(settings: Settings, redis_url: str, on: str, deals: int, server: int | None) -> list[Figure]:
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    try:
        office = await open_office(db)
        now = datetime.now(UTC)
        async with db.read() as session:
            stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1).order_by(col(Stage.id)))).all()
        open_ids = [stage.id or 0 for stage in stages if stage.kind not in {StageKind.WON, StageKind.LOST}]
        closed_ids = [stage.id or 0 for stage in stages if stage.kind in {StageKind.WON, StageKind.LOST}]
        filler = Filler(db)
        await fill_deals(
            filler, deals, pipeline_id=1, open_stages=open_ids, closed_stages=closed_ids,
            owners=[office.id(login) for login in ("ivan", "olena", "petro")], until=now, years=YEARS,
        )  # fmt: skip
        await filler.tidy()
        async with db.write() as session:
            tokens = {"admin": await create_token(session, office["admin"])}
        async with Redis.from_url(redis_url) as redis:
            inside = httpx2.ASGITransport(create_app(settings, db, redis))
            async with httpx2.AsyncClient(transport=inside, base_url=HERE, headers={"origin": HERE}) as client:
                set_aside()
                house = House(settings, client, tokens, server)
                return [
                    *await _pages(house, on, open_ids[1]),
                    *[await _counters(db, office, login, on, now) for login in ("ivan", "maria")],
                ]
    finally:
        await db.close()


async def _pages(house: House, on: str, stage_id: int) -> list[Figure]:
    figures: list[Figure] = []
    editor = ("/settings/pipelines", "/settings/pipelines/1", f"/settings/stages/{stage_id}", "/board")
    asked = {
        "admin": [(path, GOAL) for path in editor],
        "maria": [(f"/reports/{report.name}", REPORT_GOAL) for report in all_reports()],
    }
    for login, pages in asked.items():
        house.client.cookies.clear()
        answer = await house.client.post("/login", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        figures += [(await times(house, path, ROUNDS)).figure(f"{on}: {path} as {login}", goal) for path, goal in pages]
    return figures


async def _counters(db: Database, office: Office, login: str, on: str, now: datetime) -> Figure:
    """The time of the counters in the navigation rail, which every page shows."""
    clock: list[float] = []
    cpu: list[float] = []
    async with db.read() as session:
        viewer = await office.viewer(session, login)
    for _ in range(OF_COUNTERS):
        began, computed = perf_counter(), process_time()
        async with db.read() as session:
            for count in COUNTERS.values():
                await count(session, viewer, now + timedelta(seconds=1))
        clock.append((perf_counter() - began) * 1000)
        cpu.append((process_time() - computed) * 1000)
    measured = f"{percentile(clock, 95):.0f} ms, {percentile(cpu, 95):.0f} ms of CPU"
    return Figure(f"{on}: {len(COUNTERS)} counters of a page as {login}, p95", measured)


def run() -> list[Figure]:
    deals = int(os.environ.get("PBXCRM_BENCH_DEALS", "1000000"))

    async def on_sqlite(redis_url: str) -> list[Figure]:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder), redis_url=redis_url)
            return await measure(settings, redis_url, "SQLite", deals, None)

    async def on_postgres(redis_url: str, server: Postgres) -> list[Figure]:
        process = int((server.folder / "data" / "postmaster.pid").read_text().partition("\n")[0])
        with tempfile.TemporaryDirectory() as folder:
            url = await server.create(fresh_name())
            settings = Settings(data_dir=Path(folder), redis_url=redis_url, database_url=url)
            return await measure(settings, redis_url, "PostgreSQL", deals, process)

    programs = postgres_programs()
    with running_redis() as url:
        figures = asyncio.run(on_sqlite(url))
        if programs is not None:
            with running_postgres(programs) as server:
                figures += asyncio.run(on_postgres(url, server))
    return figures
