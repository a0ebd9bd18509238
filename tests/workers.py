"""Two real workers and a Redis of their own, which a test kills while they work."""

import os
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import delete
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.models import CalendarSpan
from pbxcrm.shared import redis_server
from pbxcrm.shared.db import Database
from tests import forks


class Worker:
    """A real ``pbxcrm work`` that may be killed without warning."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.environ, self.log = environ, log
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            environ = {**os.environ, **self.environ}
            self.process = forks.start("pbxcrm", "work", environ=environ, stdout=log.fileno(), stderr=log.fileno())

    def kill(self) -> None:
        self.process.kill()


class MortalWorkers:
    """The workers and their Redis. ``hit`` kills one worker at random and starts it again."""

    def __init__(self, redis: subprocess.Popen[bytes], workers: list[Worker]) -> None:
        self._redis, self._workers, self._dice = redis, workers, random.Random(7)

    def hit(self, *, with_redis: bool) -> None:
        """Kill a worker, and with ``with_redis`` also Redis, which stays dead; then start the worker again."""
        victim = self._dice.choice(self._workers)
        victim.kill()
        if with_redis:
            self.kill_redis()
        victim.start()

    def stop(self) -> None:
        """Kill both workers."""
        for worker in self._workers:
            worker.kill()
            worker.process.wait()

    def start(self) -> None:
        """Start both again."""
        for worker in self._workers:
            worker.start()

    def kill_redis(self) -> None:
        self._redis.kill()
        self._redis.wait()

    def check(self) -> None:
        """No worker may have ended by itself."""
        for worker in self._workers:
            assert worker.process.poll() is None, worker.log.read_text()[-3000:]


@asynccontextmanager
async def mortal_workers(database: Database, folder: Path, **more: str) -> AsyncIterator[MortalWorkers]:
    """Two workers on this database; their Redis, data and logs are in ``folder``. All are killed at the end. ``more``: of their environment."""
    (folder / "redis").mkdir()
    command, socket = redis_server.prepare(folder / "redis")
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers: list[Worker] = []
    mortal = MortalWorkers(redis, workers)
    try:
        await redis_server.wait_until_ready(socket)
        environ = {
            "PBXCRM_DATABASE_URL": database.engine.url.render_as_string(hide_password=False).replace("+aiosqlite", ""),
            "PBXCRM_REDIS_URL": f"unix://{socket}",
            "PBXCRM_DATA_DIR": str(folder / "data"),
            **more,
        }
        workers += [Worker(environ, folder / f"worker-{n}.log") for n in range(2)]
        yield mortal
    finally:
        for worker in workers:
            worker.kill()
        mortal.kill_redis()


async def work_at_any_hour(session: AsyncSession) -> None:
    """The default calendar has no closed hours, so that the test may run at night."""
    await session.exec(delete(CalendarSpan))
    session.add_all(CalendarSpan(calendar_id=1, weekday=day, start_minute=0, end_minute=1440) for day in range(7))
