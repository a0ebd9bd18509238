"""Deadlines and ``kill -9``: workers die again and again in the middle of their work, and each deadline fires once."""

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.db import Database
from pbxcrm.shared.timers import Timer, set_timer
from tests.waiting import until

DEADLINES = 200
KILLED_AT = (1, 2, 4)  # which of its own deadlines a worker is killed in
WORKER = """
import asyncio, sys
from datetime import UTC, datetime
from pbxcrm import tables
from pbxcrm.shared import timers
from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.db import Database

left = int(sys.argv[2])

async def fire(session, row, now):
    global left
    session.add(AuditEntry(at=now, action="fired", entity="timer", entity_id=row.key))
    await session.flush()
    left -= 1
    if left == 0:
        print("in the middle", flush=True)
        await asyncio.Event().wait()  # until it is killed

timers.register_timers({"test.kill": fire})

async def main():
    db = Database(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            await timers.sweep(db, datetime.now(UTC))
        except Exception as error:  # a lock that another one held too long: the next second
            print(error, file=sys.stderr, flush=True)
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


async def worker(url: str, killed_at: int = 0) -> asyncio.subprocess.Process:
    """A worker that begins when it is told to, and stays in the middle of the deadline it is to be killed in."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, url, str(killed_at), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )


async def says(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 60) == line


def begin(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.write(b"\n")


async def kill_in_the_middle(process: asyncio.subprocess.Process) -> None:
    await says(process, b"in the middle\n")
    process.kill()


async def all_done(database: Database) -> bool:
    async with database.read() as session:
        return not (await session.exec(select(Timer.id).where(col(Timer.done_at).is_(None)).limit(1))).all()


async def test_each_deadline_fires_exactly_once_whoever_is_killed(database: Database, database_url: str) -> None:
    async with database.write() as session:
        for n in range(DEADLINES):
            await set_timer(session, "test.kill", f"t{n}", datetime.now(UTC))
    victims = [await worker(database_url, killed_at) for killed_at in KILLED_AT]
    others = [await worker(database_url) for _ in range(2)]
    for process in (*victims, *others):
        await says(process, b"ready\n")
    for process in victims:
        begin(process)
    # There are far more deadlines than these may do, and the others wait: each comes to the one it dies in.
    await asyncio.gather(*(kill_in_the_middle(process) for process in victims))
    for process in others:
        begin(process)
    await until(lambda: all_done(database), 60)
    for process in (*victims, *others):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    async with database.read() as session:
        fired = Counter((await session.exec(select(AuditEntry.entity_id).where(AuditEntry.action == "fired"))).all())
    assert len(fired) == DEADLINES
    assert set(fired.values()) == {1}
