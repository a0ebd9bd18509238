"""Kills of the listener during real calls: ``python -m tests.chaos.recovery [KILLS] [SEED]``.

A real Asterisk, phones and a trunk play the stories of ``tests/asterisk``, one after the other. During each the listener, a
process of its own, is killed with -9 at a random moment and started again at another, in the call or after it. What it told
in the end is compared with what the people in the story did. Prints a table.
"""

import asyncio
import json
import random
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.asterisk.manager import ManagerTap
from tests.asterisk.office import SECRET, Office, running_office
from tests.asterisk.record import BOOKS
from tests.asterisk.stories.story import STORIES, Story
from tests.scenarios.test_cel import TOGETHER, UNTOLD

_PATIENCE = 12.0  # seconds for the listener to come back and tell


class Killed:
    """The listener's process."""

    def __init__(self, port: int, folder: Path, cel: Path) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tests.chaos.recovery_listener",
            f"ami://least:{SECRET}@127.0.0.1:{port}",
        ]
        self._command += [str(folder), str(cel)]
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *, listening: bool = True) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE, stderr=(self.folder / "log").open("ab")
        )
        assert self._process.stdout is not None
        while listening and not (line := await self._process.stdout.readline()).startswith(b"listening"):
            assert line, "the listener ended by itself"

    async def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
            self._process = None

    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Outcome and object of each call, in the order they began."""
        with closing(sqlite3.connect(self.folder / "calls.db", timeout=10)) as db:
            rows = db.execute("SELECT outcome, call FROM call WHERE outcome <> 'absorbed'").fetchall()
        return sorted(((outcome, json.loads(call)) for outcome, call in rows), key=lambda row: row[1]["started_at"])


def wrong_in(told: list[dict[str, Any]], story: Story) -> list[str]:
    """What is not as the people in the story did it."""
    if len(told) != len(story.calls):
        return [f"{len(told)} calls instead of {len(story.calls)}"]
    wrong = []
    for call, true in zip(told, story.calls, strict=True):
        for key, value in true.items():
            if key in UNTOLD.get(story.name, ()):
                continue
            mine = sorted(call[key]) if key == "rang" and story.name in TOGETHER else call[key]
            if mine != value:
                wrong.append(f"{key}: {mine!r} instead of {value!r}")
    return wrong


async def play(story: Story, office: Office, listener: Killed, dice: random.Random) -> list[str]:
    """One call with one kill."""
    before = len(listener.calls())

    async def blow() -> None:
        await asyncio.sleep(dice.random() * 2.5)
        await listener.kill()
        await asyncio.sleep(dice.random() * 2.0)
        await listener.start()

    blowing = asyncio.create_task(blow())
    try:
        await story.drive(office)
    finally:
        await blowing
        for phone in (*office.phones.values(), office.trunk):
            phone.forget()
    async with asyncio.timeout(_PATIENCE):
        await office.boss.settled()
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while loop.time() < until:
        told = listener.calls()[before:]
        if len(told) >= len(story.calls) and all(outcome not in {"open", "unknown"} for outcome, _ in told):
            break
        await asyncio.sleep(0.1)  # another process's database cannot be awaited
    return wrong_in([call for _, call in listener.calls()[before:]], story)


async def run(kills: int, seed: int) -> int:
    """The number of stories that were told wrongly."""
    dice = random.Random(seed)
    assert BOOKS
    stories = [s for s in STORIES.values() if not s.restarts and s.name != "pbx_killed" and "PJSIP" in s.technologies]
    tally, wrong, played = Counter[str](), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="recovery-") as folder:
        async with running_office("22") as (server, phones, trunk):
            cel = server.folder / "log/cel-custom/Master.csv"
            listener = Killed(server.ami_port, Path(folder), cel)
            await listener.start()
            try:
                while played < kills:
                    story = dice.choice(stories)
                    async with ManagerTap(server.ami_port, "full", SECRET) as boss:
                        try:
                            found = await play(story, Office(server, phones, trunk, boss, "PJSIP"), listener, dice)
                        except (AssertionError, TimeoutError) as error:
                            print(f"{story.name}: the phones did not play it: {error!r}", flush=True)
                            continue
                    played += 1
                    tally[story.name] += 1
                    wrong[story.name] += bool(found)
                    for what in found:
                        print(f"{story.name}: {what}", flush=True)
            finally:
                await listener.kill()
    print("\n| story | kills | told rightly after a kill |\n| --- | --- | --- |")
    for name in sorted(tally):
        print(f"| {name} | {tally[name]} | {tally[name] - wrong[name]} |")
    print(f"| **all** | {played} | {played - wrong.total()} |")
    return wrong.total()


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    print(f"{kills} kills, seed {seed}", flush=True)
    raise SystemExit(1 if asyncio.run(run(kills, seed)) else 0)


if __name__ == "__main__":
    main()
