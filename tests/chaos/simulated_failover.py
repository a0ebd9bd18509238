"""Failures of two machines' listeners during simulated calls, many at once: ``python -m tests.chaos.simulated_failover [BLOWS] [SEED] [RATE]``.

``RATE``: calls that begin per second. The PBX is simulated; a tracker that gets all its messages tells what it really did.
There is no CEL file, and one machine always hears the PBX. Do not change the working tree meanwhile: processes are restarted from it.
Exit code 1 if a call was lost, duplicated, reopened or differs from what the PBX did.
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlmodel import select

from ami.messages import Framer, parse
from ami.simulator import Simulator
from ami.tracker import Tracker, TrackerSettings
from pbxcrm.calls.facts import CallFact, CallState, FactKind
from pbxcrm.calls.models import Call, CallEvent
from pbxcrm.composition import compose
from tests.chaos import pair_blows, stored
from tests.chaos.story_run import KEPT
from tests.chaos.two_machines import SETTLED, TwoMachines
from tests.databases import Postgres, postgres_programs, running_postgres
from tests.waiting import until

EXTENSIONS = ("101", "102", "103", "104")


class HonestPbx(Simulator):
    """The simulated PBX with the ``facts`` of a tracker that got all its messages."""

    def __init__(self, seed: int, speed: float) -> None:
        super().__init__(extensions=EXTENSIONS, seed=seed, speed=speed, stretch=1.0)
        self.facts: list[CallFact] = []
        self._framer = Framer()
        self._tracker = Tracker(TrackerSettings(pbx="default"))

    def _say(self, data: bytes) -> None:
        now = datetime.now(UTC)
        for raw in self._framer.feed(data):
            self.facts += self._tracker.feed(parse(raw), now)
        super()._say(data)

    def truth(self) -> dict[str, CallState]:
        """The final state of each call by its linkedid, without calls that were merged into another."""
        self.facts += self._tracker.tick(datetime.now(UTC))
        ended = {fact.call.linkedid: fact.call for fact in self.facts if fact.kind is FactKind.ENDED}
        absorbed = {fact.call.linkedid for fact in self.facts if fact.kind is FactKind.ABSORBED}
        return {name: call for name, call in ended.items() if name not in absorbed}


@dataclass
class FailoverVerdict:
    """The result of a run; ``wrong`` are sentences, one per difference."""

    calls: int = 0
    blows: int = 0
    takeovers: int = 0
    longest_takeover: float = 0.0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # the stored events of calls that differ


class SimulatedRun:
    """``async with``, then ``go`` with the number of blows, then ``verdict``."""

    def __init__(self, postgres: Postgres, folder: Path, *, seed: int, rate: float = 3.0, speed: float = 4.0) -> None:
        self.pbx = HonestPbx(seed, speed)
        self.blows = 0
        self._postgres = postgres
        self._folder = folder
        self._dice = random.Random(seed)
        self._rate = rate
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        await enter(self.pbx)
        user = f"{self.pbx.user}:{self.pbx.secret}"
        self.machines = await enter(
            TwoMachines(self._folder, self._postgres, self.pbx.port, user, cel=None, dice=self._dice)
        )
        self._ringing = asyncio.create_task(self.pbx.run(self._rate * 60))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ringing.cancel()
        await asyncio.gather(self._ringing, return_exceptions=True)
        await self._stack.aclose()

    async def go(self, blows: int, kinds: Sequence[str] = pair_blows.HEARD) -> None:
        """Inject ``blows`` failures one after the other."""
        for _ in range(blows):
            await pair_blows.strike(self._dice.choice(kinds), self.machines, None, self._dice, _nothing)
            self.blows += 1
            await until(self.machines.is_well, SETTLED)
            await asyncio.sleep(self._dice.uniform(0.2, 2.0))

    async def verdict(self) -> FailoverVerdict:
        """Wait until all calls end, and compare each with what the PBX really did."""
        self._ringing.cancel()
        await until(lambda: not self.pbx.going_on, 120)
        await asyncio.sleep(3)  # a verdict of missed is held for two seconds
        truth = self.pbx.truth()
        found = FailoverVerdict(
            calls=len(truth),
            blows=self.blows,
            takeovers=await self.machines.epoch() - 1,
            longest_takeover=max(self.machines.takeovers, default=0.0),
        )
        with suppress(TimeoutError):
            await until(lambda: self._are_told(truth), 60)
        async with self.machines.database.read() as session:
            calls = {call.linkedid: call for call in (await session.exec(select(Call))).all()}
            events = (await session.exec(select(CallEvent))).all()
        found.wrong += [f"{name} is not there" for name in truth.keys() - calls.keys()]
        told_of: dict[int, list[str]] = {}
        for event in sorted(events, key=lambda event: event.id or 0):
            told_of.setdefault(event.call_id, []).append(f"{event.key} at {event.at:%H:%M:%S.%f}")
        for name, told in truth.items():
            if name in calls:
                differences = _differences(told, calls[name])
                found.wrong += differences
                if differences:
                    found.notes.append(f"{name}: {', '.join(told_of.get(calls[name].id or 0, []))}")
        for name, call in calls.items():
            if call.merged_into_id is None and name not in truth:
                found.wrong.append(f"{name} never was a call of its own")
        found.wrong += await stored.told_twice(self.machines.database)
        return found

    async def _are_told(self, truth: dict[str, CallState]) -> bool:
        async with self.machines.database.read() as session:
            rows = await session.exec(select(Call.linkedid).where(Call.outcome != "open"))
            return truth.keys() <= set(rows.all())


def _differences(told: CallState, call: Call) -> list[str]:
    pairs = {
        "outcome": (told.outcome.value, call.outcome),
        "direction": (told.direction.value, call.direction),
        "client": (told.client_heard, call.client_heard),
        "answered_by": (told.answered_by, call.answered_by),
        "talked": (sorted(told.talked), sorted(call.talked)),
        "rang": (sorted(told.rang), sorted(call.rang)),
        "channels": (sorted(told.channel_ids), sorted(call.channel_ids)),
        "ringing now": ([], call.ringing),
        "talking now": ([], call.talking),
        "merged": (None, call.merged_into_id),
    }
    return [f"{told.linkedid}: {what} is {is_!r}, was {was!r}" for what, (was, is_) in pairs.items() if was != is_]


async def _nothing() -> None:
    """The simulated PBX goes on."""


async def run(postgres: Postgres, blows: int, seed: int, rate: float) -> FailoverVerdict:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        async with SimulatedRun(postgres, Path(folder), seed=seed, rate=rate) as running:
            await running.go(blows)
            found = await running.verdict()
            if found.wrong:
                shutil.copytree(folder, KEPT, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
            return found


def main() -> None:
    compose()
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is missing (apt-get install postgresql)")
    words = dict(enumerate(sys.argv))
    blows, seed, rate = int(words.get(1, 100)), int(words.get(2, 1)), float(words.get(3, 3.0))
    with running_postgres(programs, keeps_commits=True) as postgres:
        found = asyncio.run(run(postgres, blows, seed, rate))
    for sentence in [*found.notes, *found.wrong]:
        print(sentence)
    print(
        f"{found.blows} blows (seed {seed}), {found.takeovers} changes of the listener, {found.calls} calls,"
        f" {len(found.wrong)} differences; the longest takeover took {found.longest_takeover:.1f} s"
    )
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
