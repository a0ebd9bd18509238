"""A worker for tests that kill it: ``python -m tests.integration.runtime.timer_worker URL N`` begins when it is told to (a line), and
stays in the middle of its ``N``-th deadline (0: of none).
"""

import asyncio
import sys
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm import tables  # noqa: F401
from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared import timers
from pbxcrm.shared.db import Database


async def main(url: str, left: int) -> None:
    async def fire(session: AsyncSession, row: timers.Timer, now: datetime) -> None:
        nonlocal left
        session.add(AuditEntry(at=now, action="fired", entity="timer", entity_id=row.key))
        await session.flush()
        left -= 1
        if left == 0:
            print("in the middle", flush=True)
            await asyncio.Event().wait()  # until it is killed

    timers.register_timers({"test.kill": fire})
    db = Database(url)
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            await timers.sweep(db, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001  # a lock that another one held too long: the next second
            print(error, file=sys.stderr, flush=True)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
