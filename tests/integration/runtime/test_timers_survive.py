"""Deadlines and ``kill -9``: workers die again and again in the middle of their work, and each deadline fires once."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import Timer, set_timer
from tests.forks import ReadFork, start_read
from tests.waiting import until

DEADLINES = 200
KILLED_AT = (1, 2, 4)  # which of its own deadlines a worker is killed in


@dataclass
class HeldWorker:
    """A worker that begins when it is told to, and stays in the middle of the deadline it is to be killed in."""

    process: ReadFork
    stdin: int

    @classmethod
    async def start(cls, url: str, killed_at: int = 0) -> "HeldWorker":
        reading, writing = os.pipe()
        words = ("tests.integration.runtime.timer_worker", url, str(killed_at))
        process = await start_read(*words, stdin=reading, errors=False)
        os.close(reading)
        return cls(process, writing)

    async def says(self, line: bytes) -> None:
        assert await asyncio.wait_for(self.process.stdout.readline(), 60) == line

    def begin(self) -> None:
        os.write(self.stdin, b"\n")
        os.close(self.stdin)

    async def kill_in_the_middle(self) -> None:
        await self.says(b"in the middle\n")
        await self.process.end()


async def all_done(database: Database) -> bool:
    async with database.read() as session:
        return not (await session.exec(select(Timer.id).where(col(Timer.done_at).is_(None)).limit(1))).all()


async def test_each_deadline_fires_exactly_once_whoever_is_killed(database: Database, database_url: str) -> None:
    async with database.write() as session:
        for n in range(DEADLINES):
            await set_timer(session, "test.kill", f"t{n}", datetime.now(UTC))
    victims = [await HeldWorker.start(database_url, killed_at) for killed_at in KILLED_AT]
    others = [await HeldWorker.start(database_url) for _ in range(2)]
    for worker in (*victims, *others):
        await worker.says(b"ready\n")
    for worker in victims:
        worker.begin()
    # There are far more deadlines than these may do, and the others wait: each comes to the one it dies in.
    await asyncio.gather(*(worker.kill_in_the_middle() for worker in victims))
    for worker in others:
        worker.begin()
    await until(lambda: all_done(database), 60)
    for worker in others:
        await worker.process.end()
    async with database.read() as session:
        fired = Counter((await session.exec(select(AuditEntry.entity_id).where(AuditEntry.action == "fired"))).all())
    assert len(fired) == DEADLINES
    assert set(fired.values()) == {1}
