"""After a change of a norm: the time until the worker has recomputed the lamps of 100,000 open deals; SQLite and PostgreSQL.

``PBXCRM_BENCH_RECOMPUTE=DEALS`` sets the number of deals.
"""

import os
import time
from datetime import UTC, datetime, timedelta

from sqlmodel import col, func, select

from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.hooks import stage_changed
from pbxcrm.deals.models import Stage
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from tests.bench.bench_lamps import on_both
from tests.bench.big_funnel import Filler, json, one_of
from tests.bench.table import Figure, percentile
from tests.office import open_office

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


async def measure(url: str, on: str) -> list[Figure]:
    deals = int(os.environ.get("PBXCRM_BENCH_RECOMPUTE", "100000"))
    db = Database(url)
    try:
        stage_id = await _fill(db, deals)
        async with db.read() as session:
            before = dict((await session.exec(select(Lamp.id, Lamp.due_at))).all())
        computed, began = time.process_time(), time.perf_counter()
        async with db.write() as session:
            stage = await session.get_one(Stage, stage_id)
            stage.norm_minutes = (stage.norm_minutes or 0) + 60
            await session.flush()
            await stage_changed(session, stage, NOW)
        asked = time.perf_counter() - began
        held: list[float] = []  # the longest time that each run of the worker blocked other writers
        while True:
            look = time.perf_counter()
            if not await work_on(db, NOW):
                break
            held.append(time.perf_counter() - look)
        took, own = time.perf_counter() - began, time.process_time() - computed
        async with db.read() as session:
            after = dict((await session.exec(select(Lamp.id, Lamp.due_at))).all())
        assert all(after[lamp_id] > due_at for lamp_id, due_at in before.items())
    finally:
        await db.close()
    return [
        Figure(
            f"{on}: a changed norm, {deals:,} deals settled again",
            f"{took:.1f} s, {deals / took:,.0f}/s ({own / deals * 1000:.2f} ms of CPU each)",
        ),
        Figure(f"{on}: whoever changed it waits", f"{asked * 1000:.0f} ms"),
        Figure(f"{on}: one round of the worker, p95", f"{percentile(held, 95) * 1000:.0f} ms" if held else "none"),
    ]


async def _fill(db: Database, deals: int) -> int:
    """Create open deals in one watched stage, entered over the last days, with armed lamps."""
    office = await open_office(db)
    async with db.read() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Proposal sent"))).one()
    filler = Filler(db)
    since = filler.moment(f"{(NOW - timedelta(hours=2)).timestamp():.0f} - i % 7200")
    empty = json(db)
    await filler.insert("deals", deals, {
        "id": "i", "title": "'Deal ' || i", "title_folded": "'deal ' || i", "pipeline_id": str(stage.pipeline_id), "stage_id": str(stage.id),
        "responsible_id": one_of([office.id(login) for login in ("ivan", "olena", "petro")], "i"), "currency": "'UAH'",
        "source": "''", "lost_reason": "''", "created_at": since, "stage_since": since, "reason": empty, "version": "1",
    })  # fmt: skip
    await filler.insert("stage_moves", deals, {
        "id": "i", "deal_id": "i", "to_stage_id": str(stage.id), "from_lost_reason": "''", "at": since, "reason": empty,
    })  # fmt: skip
    for first in range(1, deals + 1, 1000):
        async with db.write() as session:
            await settle_deals(session, range(first, min(first + 1000, deals + 1)), NOW)
    async with db.read() as session:
        assert (await session.exec(select(func.count(col(Lamp.id))))).one() == deals
    await filler.tidy()
    assert stage.id is not None
    return stage.id


def run() -> list[Figure]:
    return on_both(measure)
