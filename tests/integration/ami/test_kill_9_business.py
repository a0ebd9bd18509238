"""``pbxcrm listen`` is killed with -9 during a hundred calls: calls, deals, episodes and tasks end as if it never had been."""

import asyncio
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.facts import Outcome
from pbxcrm.calls.models import Call, CallEvent
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.fakes.ami_server import FakeAmiServer
from tests.forks import ReadFork, start_read
from tests.integration.ami.hundred_calls import (
    HundredCallsPbx,
    Said,
    a_hundred_calls,
    as_if_nothing_had_happened,
    heard,
)
from tests.office import open_office
from tests.waiting import until

KILLS = 6
# Who stopped ringing or talking is also said when a listener that has just begun compares its calls with the PBX: a moment
# earlier than it would be otherwise, and changes nothing but the timeline of the call.
DECIDE = {"opened", "ringing", "joined", "transferred", "absorbed", "ended"}


async def listen(server: FakeAmiServer, folder: Path, database_url: str) -> ReadFork:
    """The product's own listener, once it listens."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    environ = {
        "PBXCRM_DATA_DIR": str(folder),
        "PBXCRM_DATABASE_URL": database_url,
        "PBXCRM_AMI_URL": server.url,
        "PBXCRM_AGI_BIND": "127.0.0.1:0",
    }
    process = await start_read("pbxcrm", "listen", environ=clean | environ)
    async with asyncio.timeout(90):
        while b"Listening." not in (line := await process.stdout.readline()):
            assert line, "the listener ended"
    return process


async def ended(database: Database) -> int:
    async with database.read() as session:
        over = await session.exec(
            select(func.count())
            .select_from(Call)
            .where(Call.outcome != Outcome.OPEN.value, col(Call.merged_into_id).is_(None))
        )
        return over.one()


async def state(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything that follows from the calls, without the numbers the database gave it."""
    async with database.read() as session:
        deals = {d.id: d for d in (await session.exec(select(Deal))).all()}
        stages = {s.id: s.name for s in (await session.exec(select(Stage))).all()}
        calls = (await session.exec(select(Call))).all()
        events = (
            await session.exec(
                select(Call.linkedid, CallEvent.key).join(CallEvent, col(CallEvent.call_id) == col(Call.id))
            )
        ).all()
        episodes = (await session.exec(select(Episode))).all()
        tasks = (await session.exec(select(Task))).all()
    found: dict[str, list[tuple[object, ...]]] = {
        "calls": [
            (
                c.linkedid,
                c.direction,
                c.outcome,
                c.missed_reason,
                c.client_number,
                c.answered_by,
                tuple(c.talked),
                tuple(c.rang),
                c.deal_id is None,
                c.responsible_id,
            )
            for c in calls
        ],
        "facts": [(linkedid, key) for linkedid, key in events if key.partition(":")[0] in DECIDE],
        "deals": [(d.client_number, d.title, stages[d.stage_id], d.responsible_id) for d in deals.values()],
        "episodes": [(e.client_key, e.missed_count, e.status, e.owner_id) for e in episodes],
        "tasks": [(t.kind, t.title, t.status, t.assignee_id) for t in tasks],
    }
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


async def run(
    folder: Path, url: str, database: Database, calls: list[Said], dice: random.Random, kills: int
) -> dict[str, list[tuple[object, ...]]]:
    await open_office(database)
    journal = folder / "journal" / "default"
    async with FakeAmiServer() as server:
        pbx = HundredCallsPbx(server, calls)
        for _ in range(kills):
            process = await listen(server, folder, url)
            for _ in range(dice.randint(1, 6)):
                await pbx.say(dice.randint(1, len(calls) // (kills * 4)))
                await asyncio.sleep(dice.choice([0, 0.002, 0.05]))  # the moment is what chance is about
            await process.end()
            pbx.said = heard(journal)  # what was on its way is said again: for the PBX it has not happened yet
        process = await listen(server, folder, url)
        await pbx.say(len(calls))
        expected = len(as_if_nothing_had_happened(calls))

        async def settled() -> bool:
            return await ended(database) == expected

        await until(settled, 120)
        await process.end()
    return await state(database)


@pytest.mark.timeout(400)  # a dozen processes, on a machine that may be busy
async def test_the_business_ends_as_if_nothing_had_happened(
    database: Database, database_url: str, tmp_path: Path, sqlite_template: Path
) -> None:
    # Everybody calls once. Here a minute of calls is said in seconds, and a verdict that waits two seconds of the clock could
    # then come before or after another call of the same client; tests/integration/calls says what is right in each order.
    calls = a_hundred_calls(random.Random(4711), datetime.now(UTC).timestamp(), again=0)
    killed = await run(tmp_path / "killed", database_url, database, calls, random.Random(17), KILLS)
    plain_file = tmp_path / "plain.db"
    plain_file.write_bytes(sqlite_template.read_bytes())
    plain = Database(f"sqlite:///{plain_file}")
    try:
        undisturbed = await run(
            tmp_path / "plain", plain.url.replace("+aiosqlite", ""), plain, calls, random.Random(0), 0
        )
    finally:
        await plain.close()
    assert len(undisturbed["calls"]) >= 100
    assert undisturbed["episodes"]
    for name, rows in undisturbed.items():
        assert killed[name] == rows, name
