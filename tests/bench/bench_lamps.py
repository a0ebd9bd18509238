"""Lamps: the time to light 10,000 that are due at once while a million are armed, and the delay at 200 per second; SQLite and
PostgreSQL.

``PBXCRM_BENCH_LAMPS=DUE,ARMED`` sets the numbers, ``PBXCRM_BENCH_LAMPS_PACE=SECONDS`` how long 200 per second are due.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlmodel import col, func, select

from pbxcrm import migrations
from pbxcrm.checkpoints.context import load_engine
from pbxcrm.checkpoints.models import Checkpoint, Lamp, LampState
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.models import Stage
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.bench.big_funnel import Filler, json, one_of
from tests.bench.table import Figure, percentile
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import open_office

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
PACE = 200  # lamps per second
SECONDS_GOAL, LATE_GOAL = 30, 2.0


def run() -> list[Figure]:
    due, armed = (int(number) for number in os.environ.get("PBXCRM_BENCH_LAMPS", "10000,1000000").split(","))
    seconds = int(os.environ.get("PBXCRM_BENCH_LAMPS_PACE", "20"))

    async def measure(url: str, on: str) -> list[Figure]:
        return await _measure(url, on, due, armed, seconds)

    return on_both(measure)


def on_both(measure: Callable[[str, str], Awaitable[list[Figure]]]) -> list[Figure]:
    """The figures for SQLite and for PostgreSQL (without fsync), both empty and migrated."""

    async def on_sqlite() -> list[Figure]:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/bench.db"
            await migrations.upgrade(url)
            return await measure(url, "SQLite")

    figures = asyncio.run(on_sqlite())
    programs = postgres_programs()
    if programs is None:
        return [*figures, Figure("PostgreSQL", "not installed")]
    with running_postgres(programs) as server:

        async def on_postgres() -> list[Figure]:
            return await measure(await server.create(fresh_name()), "PostgreSQL")

        return [*figures, *asyncio.run(on_postgres())]


async def _measure(url: str, on: str, due: int, armed: int, seconds: int) -> list[Figure]:
    db = Database(url)
    try:
        await _fill(db, due, armed, PACE * seconds)
        return [await _at_once(db, on, due, armed), await _at_pace(db, on, seconds)]
    finally:
        await db.close()


async def _at_once(db: Database, on: str, due: int, armed: int) -> Figure:
    """All lamps are due at ``NOW``, as after a weekend; each gets its own task."""
    computed, began = time.process_time(), time.perf_counter()
    lit = 0
    while more := await sweep_lamps(db, NOW):
        lit += more
    took, own = time.perf_counter() - began, time.process_time() - computed
    async with db.read() as session:
        tasks = (await session.exec(select(func.count()).select_from(Task))).one()
    assert lit == due
    assert tasks == due
    name = f"{on}: {due:,} lamps due at once of {due + armed:,} armed, to the last one"
    measured = f"{took:.1f} s, {lit / took:.0f}/s ({own / lit * 1000:.2f} ms of CPU each)"
    return Figure(name, measured, f"{SECONDS_GOAL} s", took < SECONDS_GOAL)


async def _at_pace(db: Database, on: str, seconds: int) -> Figure:
    """``PACE`` lamps are due each second; the sweep runs each second, as in a worker."""
    begin, began = NOW + timedelta(minutes=10), time.perf_counter()
    late: list[float] = []
    swept = 0.0
    while len(late) < PACE * seconds and swept < seconds + 60:
        await asyncio.sleep(max(0.0, swept + 1.0 - (time.perf_counter() - began)))
        swept = time.perf_counter() - began
        at = begin + timedelta(seconds=swept)
        if await sweep_lamps(db, at):
            burning = begin + timedelta(seconds=time.perf_counter() - began)
            async with db.read() as session:
                lit = select(Lamp.due_at).where(Lamp.lit_at == at, Lamp.state == LampState.BURNING.value)
                late += [(burning - due_at).total_seconds() for due_at in (await session.exec(lit)).all()]
    p99 = percentile(late, 99)
    name = f"{on}: how late at {PACE} lamps a second for {seconds} s, p50 / p99"
    measured = f"{percentile(late, 50):.2f} / {p99:.2f} s of {len(late):,}"
    return Figure(name, measured, f"p99 under {LATE_GOAL:.0f} s", p99 < LATE_GOAL and len(late) == PACE * seconds)


async def _fill(db: Database, due: int, armed: int, paced: int) -> None:
    """Create deals in one watched stage: ``due`` are due at ``NOW``, ``paced`` from ten minutes later on, the others in days."""
    office = await open_office(db)
    owners = [office.id(login) for login in ("ivan", "olena", "petro")]
    async with db.read() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Proposal sent"))).one()
        watched = (await session.exec(select(Checkpoint.id).where(col(Checkpoint.stage_id) == stage.id))).one()
        working = (await load_engine(session)).working_of(owners[0])
    norm = stage.norm_minutes or 0
    entered = working.add_minutes(NOW, -norm)
    assert working.add_minutes(entered, norm) == NOW
    filler, count = Filler(db), due + paced + armed
    first, second = f"{entered.timestamp():.0f}", f"{(entered + timedelta(minutes=10)).timestamp():.0f}"
    since = (
        f"CASE WHEN i <= {due} THEN {first} WHEN i <= {due + paced} THEN {second} + (i - {due} - 1) / {PACE}"
        f" ELSE {NOW.timestamp():.0f} END"
    )
    due_at = (
        f"CASE WHEN i <= {due} THEN {NOW.timestamp():.0f}"
        f" WHEN i <= {due + paced} THEN {(NOW + timedelta(minutes=10)).timestamp():.0f} + (i - {due} - 1) / {PACE}"
        f" ELSE {(NOW + timedelta(days=5)).timestamp():.0f} + i END"
    )
    empty = json(db)
    await filler.insert("deals", count, {
        "id": "i", "title": "'Deal ' || i", "title_folded": "'deal ' || i", "pipeline_id": str(stage.pipeline_id), "stage_id": str(stage.id),
        "responsible_id": one_of(owners, "i"), "currency": "'UAH'", "source": "''", "lost_reason": "''",
        "created_at": filler.moment(since), "stage_since": filler.moment(since), "reason": empty, "version": "1",
    })  # fmt: skip
    await filler.insert("stage_moves", count, {
        "id": "i", "deal_id": "i", "to_stage_id": str(stage.id), "from_lost_reason": "''", "at": filler.moment(since), "reason": empty,
    })  # fmt: skip
    await filler.insert("lamps", count, {
        "id": "i", "checkpoint_id": str(watched), "step": "0", "subject": "'deal'", "deal_id": "i", "entry": "'m' || i || ':'",
        "owner_id": one_of(owners, "i"), "state": "'armed'", "entered_at": filler.moment(since), "minutes": str(norm),
        "due_at": filler.moment(due_at), "out_reason": empty, "reason": empty, "decision": "''", "note": "''", "error": "''",
        "version": "1", "is_escalation": "false", "worked": json(db, "[]"),
    })  # fmt: skip
    await filler.tidy()
