"""From the simulated PBX through listener and tracker into the real database, on both kinds."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import select

from ami.listener import Listener, ListenerSettings
from ami.simulator import Simulator
from ami.tracker import Tracker, TrackerConfig
from ami.url import AmiUrl
from pbxcrm.calls.intake import Intake
from pbxcrm.calls.models import Call, PbxStatus
from pbxcrm.db import Database
from pbxcrm.settings import Settings
from tests.integration.ami.office import TIMING, now


def listener_on(simulator: Simulator, database: Database, folder: Path) -> Listener:
    return Listener(
        "main",
        AmiUrl.parse(simulator.url),
        folder / "journal",
        lambda: Tracker(TrackerConfig(pbx="main")),
        Intake(database, Settings(data_dir=folder)),
        now,
        owner="test",
        settings=ListenerSettings(timing=TIMING),
    )


async def rows(database: Database) -> list[Call]:
    async with database.read() as session:
        return list((await session.exec(select(Call))).all())


async def status(database: Database) -> PbxStatus | None:
    async with database.read() as session:
        return await session.get(PbxStatus, "main")


async def test_calls_end_up_in_the_database_as_they_were(database: Database, tmp_path: Path) -> None:
    async with Simulator(seed=4, speed=10, stretch=1) as simulator:
        listener = listener_on(simulator, database, tmp_path)
        task = asyncio.create_task(listener.run())
        async with asyncio.timeout(60):
            while listener.report.code != "listening":
                await asyncio.sleep(0.01)
            stories = (
                "ring_group_answered",
                "ring_group_abandoned",
                "queue_answered",
                "outbound_answered",
                "internal_answered",
            )
            for story in stories:
                simulator.begin(story)
            while len([call for call in await rows(database) if call.ended_at]) < len(stories):
                await asyncio.sleep(0.1)  # a database cannot be awaited
        listener.stop()
        await asyncio.wait_for(task, 20)
    calls = await rows(database)
    found = sorted((call.direction, call.outcome) for call in calls)
    assert found == [
        ("inbound", "answered"),
        ("inbound", "answered"),
        ("inbound", "missed"),
        ("internal", "answered"),
        ("outbound", "answered"),
    ]
    missed = next(call for call in calls if call.outcome == "missed")
    assert missed.missed_reason == "abandoned_ringing"
    assert abs((datetime.now(UTC) - missed.started_at).total_seconds()) < 120
    known = await status(database)
    assert known is not None
    assert known.position > 0
    assert known.code == "stopped"
    assert known.asterisk_version is not None
