"""Deadlines and ``kill -9``: workers die again and again in the middle of their work, and each deadline fires once."""

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.db import Database
from pbxcrm.shared.jobs import set_timer
from pbxcrm.shared.timers import Timer
from tests.waiting import until

DEADLINES = 200
WORKER = """
import asyncio, sys
from datetime import UTC, datetime
from pbxcrm import tables
from pbxcrm.shared import jobs
from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.db import Database

async def fire(session, row, now):
    session.add(AuditEntry(at=now, action="fired", entity="timer", entity_id=row.key))
    await session.flush()
    print("in the middle", flush=True)
    await asyncio.sleep(0.02)  # a moment to be killed in

jobs.register_timers({"test.kill": fire})

async def main():
    db = Database(sys.argv[1])
    print("ready", flush=True)
    while True:
        try:
            await jobs.sweep(db, datetime.now(UTC))
        except Exception as error:  # a lock that another one held too long: the next second
            print(error, flush=True)
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


async def worker(url: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, url, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    return process


async def all_done(database: Database) -> bool:
    async with database.read() as session:
        return not (await session.exec(select(Timer.id).where(col(Timer.done_at).is_(None)).limit(1))).all()


async def test_each_deadline_fires_exactly_once_whoever_is_killed(database: Database, database_url: str) -> None:
    async with database.write() as session:
        for n in range(DEADLINES):
            await set_timer(session, "test.kill", f"t{n}", datetime.now(UTC))
    workers = [await worker(database_url) for _ in range(4)]
    for victim in workers[:3]:
        assert victim.stdout
        assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"in the middle\n"
        victim.kill()
    await until(lambda: all_done(database), 60)
    for process in workers:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    async with database.read() as session:
        fired = Counter((await session.exec(select(AuditEntry.entity_id).where(AuditEntry.action == "fired"))).all())
    assert len(fired) == DEADLINES
    assert set(fired.values()) == {1}
