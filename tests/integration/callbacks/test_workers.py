"""Each lamp and each escalation exactly once with two real workers that are killed again and again, and Redis too (E4)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlmodel import col, func, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.phone.actions import EXPIRY
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import Timer, set_timer
from pbxcrm.tasks.models import Task
from tests.calls import FactStory, batch
from tests.integration.callbacks.conftest import CallbackDesk
from tests.lamps import set_norm
from tests.waiting import until
from tests.workers import mortal_workers, work_at_any_hour

CALLBACKS = 60


async def test_lamps_and_escalations_once_though_workers_and_redis_die(
    desk: CallbackDesk, database: Database, tmp_path: Path
) -> None:
    async with database.write() as session:
        await work_at_any_hour(session)
        await set_norm(session, 1, 0)
    begun = datetime.now(UTC) - timedelta(minutes=5)
    await desk.intake.apply(
        batch(*(FactStory(f"5.{n}", f"+38067{n:07}", at=begun).ring("101").wait(3).end() for n in range(CALLBACKS)))
    )

    async def at_least(goal: int) -> bool:
        workers.check()
        async with database.read() as session:
            query = select(func.count()).select_from(Lamp).where(col(Lamp.is_escalation))
            return (await session.exec(query)).one() >= goal

    async with mortal_workers(database, tmp_path) as workers:
        for goal in (3, 12, 25):
            await until(partial(at_least, goal), 60)
            workers.hit(with_redis=goal == 12)
        await until(partial(at_least, CALLBACKS), 60)
        async with database.write() as session:  # and one more sweep, in which nothing else may happen
            await set_timer(session, EXPIRY, "nobody's", datetime.now(UTC), {"command": 0})
        await until(partial(_nothing_due, database), 60)
    by_kind = Counter(task.kind for task in await desk.rows(Task))
    assert by_kind == {"callback": CALLBACKS, "lamp": CALLBACKS, "control": CALLBACKS}
    assert Counter(lamp.callback_id for lamp in await desk.rows(Lamp) if lamp.is_escalation) == {
        e.id: 1 for e in await desk.rows(Episode)
    }


async def _nothing_due(database: Database) -> bool:
    async with database.read() as session:
        due = select(Timer.id).where(col(Timer.done_at).is_(None), Timer.due_at <= datetime.now(UTC))
        armed = select(Lamp.id).where(Lamp.state == LampState.ARMED.value)
        return (await session.exec(due)).first() is None and (await session.exec(armed)).first() is None
