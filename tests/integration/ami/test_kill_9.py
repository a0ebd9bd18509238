"""The listener is killed with -9 at random moments during a hundred calls; the database ends as if nothing had happened."""

import asyncio
import json
import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.ami_server import FakeAmiServer
from tests.forks import ReadFork, start_read
from tests.integration.ami.hundred_calls import HundredCallsPbx, a_hundred_calls, as_if_nothing_had_happened, heard

KILLS = 10


def in_database(folder: Path) -> dict[str, list[object]]:
    with sqlite3.connect(folder / "facts.db") as db:
        rows = db.execute("SELECT linkedid, call FROM fact WHERE key LIKE 'ended:%'").fetchall()
    db.close()
    return {linkedid: json.loads(call) for linkedid, call in rows}


async def start(server: FakeAmiServer, folder: Path) -> ReadFork:
    """A listener that has taken its snapshot."""
    process = await start_read("tests.integration.ami.listening_process", server.url, str(folder))
    async with asyncio.timeout(90):
        while b"listening listening" not in (line := await process.stdout.readline()):
            assert line, "the listener ended"
    return process


@pytest.mark.timeout(300)  # a dozen processes, on a machine that may be busy
async def test_killed_during_a_hundred_calls(tmp_path: Path) -> None:
    dice = random.Random(20261121)
    calls = a_hundred_calls(dice, datetime.now(UTC).timestamp())
    expected = as_if_nothing_had_happened(calls)
    assert len(expected) >= 100
    async with FakeAmiServer() as server:
        pbx = HundredCallsPbx(server, calls)
        for _ in range(KILLS):
            process = await start(server, tmp_path)
            for _ in range(dice.randint(1, 6)):
                await pbx.say(dice.randint(1, len(calls) // (KILLS * 4)))
                await asyncio.sleep(dice.choice([0, 0.002, 0.02]))  # the moment is what chance is about
            await process.end()
            # What was on its way when the listener died is said again: for the PBX it has not happened yet.
            pbx.said = heard(tmp_path / "journal")
        process = await start(server, tmp_path)
        await pbx.say(len(calls))
        async with asyncio.timeout(60):
            while len(in_database(tmp_path)) < len(expected):
                await asyncio.sleep(0.1)  # another process's database cannot be awaited
        await process.end()
        assert heard(tmp_path / "journal") == len(calls)
    found = in_database(tmp_path)
    assert found == expected
