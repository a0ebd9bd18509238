"""Stage editor, board, reports and counters over a million deals of five years; SQLite and PostgreSQL.

``PBXCRM_BENCH_DEALS=DEALS`` sets the number of deals.
"""

import asyncio
import os
import tempfile
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from time import perf_counter, process_time

import httpx2
from redis.asyncio import Redis
from sqlmodel import col, select

from pbxcrm.access.permissions import Permission
from pbxcrm.checkpoints.models import Checkpoint
from pbxcrm.cli.parts import set_aside
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.migrations import upgrade
from pbxcrm.people.actions import add_user
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.passwords import hash_password
from pbxcrm.reports.queries import ALL
from pbxcrm.reports.report import all_reports
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.big_funnel import Filler, Years, fill_years
from tests.bench.full_house import HERE, FullHouse, times
from tests.bench.table import Figure, percentile
from tests.databases import Postgres, fresh_name, postgres_programs, running_postgres, running_redis
from tests.office import PASSWORD, Office, open_office
from web.app import create_app
from web.routes import COUNTERS

ROUNDS, OF_COUNTERS = 12, 50
GOAL, REPORT_GOAL = 100, 1000  # milliseconds
TEAMS, SELLERS = 6, 10  # sellers in each team; the two of the tests' office are among them
PAGES = {
    "admin": (
        "/settings/pipelines", "/settings/pipelines/1", "/settings/stages/{stage}", "/settings/stages/{stage}/remove", "/board",
        "/board?q=client+777", "/escalations", "/burning", "/calls", "/tasks",
    ),
    "maria": (
        "/board", "/board?q=client+777", "/board/heads", "/escalations", "/burning", "/tasks", "/tasks/week",
        "/tasks/team", "/callbacks", "/calls?mine=1",
    ),
    "ivan": ("/board", "/board?q=client+777", "/burning", "/tasks", "/tasks/week", "/callbacks", "/calls?mine=1"),
}  # fmt: skip


async def measure(settings: Settings, redis_url: str, on: str, deals: int, server: int | None) -> list[Figure]:
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    try:
        office, stage_id, now = await fill(db, deals)
        async with db.write() as session:
            tokens = {"admin": await create_token(session, office["admin"])}
        async with Redis.from_url(redis_url) as redis:
            inside = httpx2.ASGITransport(create_app(settings, db, redis))
            async with httpx2.AsyncClient(transport=inside, base_url=HERE, headers={"origin": HERE}) as client:
                set_aside()
                house = FullHouse(settings, client, tokens, server)
                return [
                    *await _pages(house, on, stage_id),
                    *[await _counters(db, office, login, on, now) for login in ("ivan", "maria", "admin")],
                ]
    finally:
        await db.close()


async def fill(db: Database, deals: int, open_every: int = 10) -> tuple[Office, int, datetime]:
    """Sixty sellers in six teams with ``deals`` of five years, one of ``open_every`` still open. Returns the office, a stage of theirs and the end of the years."""
    office, now = await open_office(db), datetime.now(UTC).replace(microsecond=0)
    owners = [office.id(login) for login in ("ivan", "olena", "petro")]
    hashed = await hash_password(PASSWORD)
    async with db.write() as session:
        for n in range(len(owners), TEAMS * SELLERS):
            team = ("Sales", "Other", "Third", "Fourth", "Fifth", "Sixth")[n % TEAMS]
            seller = await add_user(
                session,
                login=f"seller{n}",
                name=f"Seller {n}",
                role="seller",
                password_hash=hashed,
                extensions=(),
                team=team,
            )
            owners.append(seller.id or 0)
        stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1).order_by(col(Stage.id)))).all()
        watched = (await session.exec(select(Checkpoint).where(col(Checkpoint.stage_id).is_not(None)))).all()[0]
    closed = {StageKind.WON, StageKind.LOST}
    await fill_years(
        Filler(db),
        Years(
            deals=deals,
            owners=owners,
            open_stages=[stage.id or 0 for stage in stages if stage.kind not in closed],
            closed_stages=[stage.id or 0 for stage in stages if stage.kind in closed],
            checkpoint_id=watched.id or 0,
            manager_id=office.id("maria"),
            until=now,
            open_every=open_every,
        ),
    )
    return office, watched.stage_id or 0, now


async def _pages(house: FullHouse, on: str, stage_id: int) -> list[Figure]:
    figures: list[Figure] = []
    for login, pages in PAGES.items():
        await _enter(house, login)
        for page in pages:
            measured = await times(house, page.format(stage=stage_id), ROUNDS)
            figures.append(measured.figure(f"{on}: {page} as {login}", GOAL))
    for login in ("admin", "ivan"):
        await _enter(house, login)
        reports = [report for report in all_reports() if (login == "ivan") == (report.needs is Permission.OWN_PROFILE)]
        figures.append(
            (await times(house, "/burning/reactions", ROUNDS)).figure(
                f"{on}: /burning/reactions as {login}", REPORT_GOAL
            )
        )
        for report in reports:
            opens = next(column.key for column in report.columns if column.opens)
            paths = (f"/reports/{report.name}", f"/reports/{report.name}/rows?row={ALL}&column={opens}")
            for path in paths:
                if (counted := await _that_is_counted(house, path)) is not None:
                    measured = await times(house, counted, ROUNDS)
                    figures.append(measured.figure(f"{on}: {counted} as {login}", REPORT_GOAL))
    return figures


async def _that_is_counted(house: FullHouse, path: str) -> str | None:
    """The report, or for one team where the whole company has more rows than a report counts. None: it has no such line."""
    for each in (path, f"{path}{'&' if '?' in path else '?'}team=1"):
        if (await house.client.get(each)).status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
            return each
    return None


async def _enter(house: FullHouse, login: str) -> None:
    house.client.cookies.clear()
    answer = await house.client.post("/login", data={"login": login, "password": PASSWORD})
    assert answer.status_code == 303, answer.text


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
