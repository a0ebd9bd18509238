"""Each lamp exactly once with two real workers that are killed again and again, and Redis too; one broken lamp stops nobody."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints import lighting
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.lighting import DueLamp
from pbxcrm.checkpoints.models import CheckpointStep, EngineBeat, Lamp, LampState
from pbxcrm.deals.models import Stage
from pbxcrm.shared.db import Database
from tests.integration.checkpoints.conftest import DealDesk
from tests.waiting import until
from tests.workers import mortal_workers, work_at_any_hour

DEALS = 120


async def test_each_lamp_once_though_workers_and_redis_die(desk: DealDesk, database: Database, tmp_path: Path) -> None:
    async with database.write() as session:
        await work_at_any_hour(session)
        await session.exec(update(Stage).where(col(Stage.name) == "Proposal sent").values(norm_minutes=1))
        await session.exec(update(CheckpointStep).where(col(CheckpointStep.position) == 1).values(after_minutes=0))
    begun = datetime.now(UTC) - timedelta(minutes=5)
    for number in range(DEALS):
        await desk.deal(at=begun, number=f"+38067777{number:04}")
    async with database.write() as session:
        await session.exec(update(Lamp).values(due_at=datetime.now(UTC)))

    async def lit(goal: int) -> bool:
        workers.check()
        async with database.read() as session:
            query = select(func.count()).select_from(Lamp).where(Lamp.state == LampState.BURNING.value)
            return (await session.exec(query)).one() >= goal

    async with mortal_workers(database, tmp_path) as workers:
        for goal in (1, DEALS):
            await until(partial(lit, goal), 60)
            workers.hit(with_redis=True)
        await until(partial(lit, 2 * DEALS), 60)
    lamps = await desk.lamps()
    assert Counter((lamp.deal_id, lamp.step) for lamp in lamps) == {
        (deal_id, step): 1 for deal_id in {lamp.deal_id for lamp in lamps} for step in (0, 1)
    }
    assert len(lamps) == 2 * DEALS
    async with database.read() as session:
        assert await session.get(EngineBeat, "canary") is not None


async def test_a_broken_lamp_parks_itself_and_the_others_light(desk: DealDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await desk.deal(), await desk.deal(number="+380671110000")
    due = (await desk.lamps())[0].due_at
    honest = lighting._burn

    def broken(session: AsyncSession, context: EngineContext, each: DueLamp, *rest: Any) -> None:
        if each.subject.id == first:
            raise ValueError("no such calendar")
        honest(session, context, each, *rest)

    monkeypatch.setattr(lighting, "_burn", broken)  # nothing that people enter breaks a lamp today
    assert await desk.sweep(due) == 1
    lamps = {lamp.deal_id: lamp for lamp in await desk.lamps() if lamp.step == 0}
    assert (lamps[second].state, lamps[first].state) == ("burning", "armed")
    assert "no such calendar" in lamps[first].error
    assert await desk.sweep(due) == 0  # it waits for a person
    assert len(await desk.tasks("lamp")) == 1
