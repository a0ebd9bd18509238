"""How long it takes until the last of many lamps that are due at once burns, while many more are armed (SQLite).

``PBXCRM_BENCH_LAMPS=DUE,ARMED`` sets how many; the goal of 10,000 of a million needs some minutes of preparation.
"""

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlmodel import select

from pbxcrm import migrations
from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.shared.db import Database
from tests.bench.table import Figure
from tests.office import open_office

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
ENTERED = NOW - timedelta(days=30)


def run() -> list[Figure]:
    due, armed = (int(number) for number in os.environ.get("PBXCRM_BENCH_LAMPS", "2000,50000").split(","))
    seconds, lit = asyncio.run(_sweep(due, armed))
    return [
        Figure(
            f"{lit} lamps due at once of {due + armed} armed, to the last one",
            f"{seconds:.1f} s, {lit / seconds:.0f}/s",
        )
    ]


async def _sweep(due: int, armed: int) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/lamps.db"
        await migrations.upgrade(url)
        db = Database(url)
        try:
            await _fill(db, due, armed)
            begun, lit = time.perf_counter(), 0
            while more := await sweep_lamps(db, NOW + timedelta(seconds=1)):
                lit += more
            return time.perf_counter() - begun, lit
        finally:
            await db.close()


async def _fill(db: Database, due: int, armed: int) -> None:
    office = await open_office(db)
    sellers = [office.id(login) for login in ("ivan", "olena", "petro")]
    async with db.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Proposal sent"))).one()
        watched = (await session.exec(select(Checkpoint.id).where(Checkpoint.stage_id == stage.id))).one()
        numbers = range(1, due + armed + 1)
        deal: dict[str, Any] = {
            "title_folded": "", "pipeline_id": stage.pipeline_id, "stage_id": stage.id, "currency": "UAH", "source": "", "lost_reason": "",
            "created_at": ENTERED, "reason": {}, "version": 1,
        }  # fmt: skip
        lamp: dict[str, Any] = {
            "checkpoint_id": watched, "step": 0, "subject": "deal", "state": "armed", "entered_at": ENTERED, "minutes": 1620,
            "out_reason": {}, "reason": {}, "decision": "", "note": "", "error": "", "version": 1,
        }  # fmt: skip
        await session.exec(
            insert(Deal),
            params=[
                {**deal, "id": n, "title": f"Deal {n}", "responsible_id": sellers[n % 3], "stage_since": ENTERED if n <= due else NOW}
                for n in numbers
            ],
        )  # fmt: skip
        move: dict[str, Any] = {"to_stage_id": stage.id, "from_lost_reason": "", "at": ENTERED, "reason": {}}
        await session.exec(insert(StageMove), params=[{**move, "id": n, "deal_id": n} for n in numbers])
        await session.exec(
            insert(Lamp),
            params=[
                {**lamp, "deal_id": n, "entry": f"m{n}:", "owner_id": sellers[n % 3], "due_at": NOW + timedelta(days=9 * (n > due))}
                for n in numbers
            ],
        )  # fmt: skip
