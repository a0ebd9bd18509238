"""Each lamp and each escalation exactly once with two real workers that are killed again and again, and Redis too (E4)."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import delete
from sqlmodel import col, func, select

from pbxcrm.calendars.models import CalendarSpan
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.phone.actions import EXPIRY
from pbxcrm.shared import redis_server
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import Timer, set_timer
from pbxcrm.tasks.models import Task
from tests.calls import FactStory, batch
from tests.integration.callbacks.conftest import CallbackDesk
from tests.lamps import set_norm
from tests.waiting import until

CALLBACKS = 60


class Worker:
    """A real ``pbxcrm work`` that may be killed without warning."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.environ, self.log = environ, log
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "pbxcrm", "work"]
            self.process = subprocess.Popen(command, env={**os.environ, **self.environ}, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def test_lamps_and_escalations_once_though_workers_and_redis_die(
    desk: CallbackDesk, database: Database, tmp_path: Path
) -> None:
    async with database.write() as session:  # at work at any hour, so that the test may run at night
        await session.exec(delete(CalendarSpan))
        session.add_all(CalendarSpan(calendar_id=1, weekday=day, start_minute=0, end_minute=1440) for day in range(7))
        await set_norm(session, 1, 0)
    begun = datetime.now(UTC) - timedelta(minutes=5)
    await desk.intake.apply(
        batch(*(FactStory(f"5.{n}", f"+38067{n:07}", at=begun).ring("101").wait(3).end() for n in range(CALLBACKS)))
    )
    folder = tmp_path / "redis"
    folder.mkdir()
    command, socket = redis_server.prepare(folder)
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers: list[Worker] = []

    async def count() -> int:
        for worker in workers:
            assert worker.process.poll() is None, worker.log.read_text()[-3000:]
        async with database.read() as session:
            return (await session.exec(select(func.count()).select_from(Lamp).where(col(Lamp.is_escalation)))).one()

    dice = random.Random(7)
    try:
        await redis_server.wait_until_ready(socket)
        environ = {
            "PBXCRM_DATABASE_URL": database.engine.url.render_as_string(hide_password=False).replace("+aiosqlite", ""),
            "PBXCRM_REDIS_URL": f"unix://{socket}",
            "PBXCRM_DATA_DIR": str(tmp_path / "data"),
        }
        workers = [Worker(environ, tmp_path / f"worker-{n}.log") for n in range(2)]
        for goal in (3, 12, 25):
            await until(partial(_at_least, count, goal), 60)
            victim = dice.choice(workers)
            victim.kill()
            if goal == 12:
                redis.kill()
                redis.wait()
            victim.start()
        await until(partial(_at_least, count, CALLBACKS), 60)
        async with database.write() as session:  # and one more sweep, in which nothing else may happen
            await set_timer(session, EXPIRY, "nobody's", datetime.now(UTC), {"command": 0})
        await until(partial(_nothing_due, database), 60)
    finally:
        for worker in workers:
            worker.kill()
        redis.kill()
        redis.wait()
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


async def _at_least(count: Callable[[], Awaitable[int]], goal: int) -> bool:
    return await count() >= goal
