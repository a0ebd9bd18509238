"""Real calls while something is struck: stories of ``tests/asterisk`` with a failure injected during each, and the comparison.

Each call in the database is compared, by its channels, with what the people in the story did, with what an undisturbed listener
reported, and with the PBX's own record (CEL).
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from pbxcrm.calls.rules import clean_caller_name
from pbxcrm.shared.db import Database
from tests.asterisk.manager import ManagerTap
from tests.asterisk.office import SECRET, AsteriskOffice, running_office
from tests.asterisk.phone import SipPhone
from tests.asterisk.record import BOOKS
from tests.asterisk.server import AsteriskServer
from tests.asterisk.stories.story import STORIES, Story
from tests.chaos import stored, witness
from tests.chaos.by_channel import ASKED_ONLY, Record
from tests.chaos.witness import Witness
from tests.scenarios.test_cel import UNTOLD
from tests.waiting import until

KEPT = Path(tempfile.gettempdir()) / "pbxcrm-chaos"  # journals, logs and CEL file of a failed run
WELL = 120.0  # seconds until everything has recovered from a blow, on a slow machine
_PATIENCE = 30.0  # seconds in which the rows must be correct, once the product is ready again
_TIMES = {"started_at", "answered_at", "ended_at"}  # not compared: they come from different clocks or places in the PBX
_SPANS = {"wait_seconds", "talk_seconds"}
_MAILBOX = {"outcome", "missed_reason"}  # only MessageWaiting tells a message from a greeting that was heard
#: Whether the caller hung up is said by HangupRequest only, and a fresh listener does not know yet whether this PBX sends it.
_LEFT_OPEN = {"only_a_program_speaks": {"missed_reason"}}
_SPAN_TOLERANCE = 0.5  # seconds, as in the cut tests
LEAST = f"least:{SECRET}"  # the user of the PBX with the rights and filters that our users are told to give


class Struck(Protocol):
    """What is struck: it listens to the PBX and writes to ``database``."""

    database: Database

    async def is_well(self) -> bool:
        """Whether it has recovered from the last blow."""

    def keep_logs(self) -> None:
        """Write what is still in memory to the folder, which is kept."""


Thing = TypeVar("Thing", bound=Struck)
#: Kind, what is struck, the PBX, and what to call directly before the PBX is restarted or killed. Returns whether the PBX
#: was killed while nothing listened to it: then no record says when it died.
Strike = Callable[[str, Thing, AsteriskServer, random.Random, Callable[[], Awaitable[None]]], Awaitable[bool]]


@dataclass
class Verdict:
    """The result of a run; ``wrong`` are sentences, one per difference."""

    seed: int
    played: Counter[str] = field(default_factory=Counter)  # by blow
    right: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    channels: int = 0  # in the PBX's own record
    untellable: int = 0  # plays with a difference that no record of the PBX could have prevented
    wrong: list[str] = field(default_factory=list)

    def table(self) -> str:
        lines = ["| blow | times | told rightly after it |", "| --- | --- | --- |"]
        lines += [f"| {kind} | {self.played[kind]} | {self.right[kind]} |" for kind in sorted(self.played)]
        lines += [f"| **all** | {self.played.total()} | {self.right.total()} |"]
        return "\n".join(lines)

    def __str__(self) -> str:
        return (
            f"{self.played.total()} blows (seed {self.seed}), {self.calls} calls, {self.channels} channels in CEL,"
            f" {len(self.wrong)} differences, {self.untellable} calls of which something is in no record"
            " (see UNTOLD in tests/scenarios/test_cel.py)"
        )


def differences(told: dict[str, Any], true: dict[str, Any], record: Record) -> dict[str, str]:
    """The differences of one call from the expected one, as sentences by key."""
    found = {}
    kept = true | ({"client_name": clean_caller_name(true["client_name"])} if "client_name" in true else {})
    for key, value in kept.items():
        if key in _TIMES:
            continue
        mine = told[key]
        if key in _SPANS:
            same = abs((mine or 0) - (value or 0)) <= _SPAN_TOLERANCE
        elif key == "rang":
            same = record.rang_in_one_order(mine, value, told["channels"])
        else:
            same = mine == value
        if not same:
            found[key] = f"{key}: {mine!r} instead of {value!r}"
    return found


class Run(Generic[Thing]):
    """``async with``, then ``play`` any number of times, then ``settle``. ``make`` starts what is struck beside the PBX."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        make: Callable[[AsteriskServer], AbstractAsyncContextManager[Thing]],
        strike: Strike[Thing],
    ) -> None:
        self.verdict = Verdict(seed)
        self._folder = folder
        self._make = make
        self._strike = strike
        self._dice = random.Random(seed)
        self._plays = 0
        self._unheard = False  # the PBX was killed while nothing listened
        self._untold: dict[str, None] = {}  # of the current story: differences about what no record holds
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            self.pbx, self._phones, self._trunk = await enter(running_office("22"))
            self.witness = await enter(Witness(self._folder, self.pbx.ami_port, LEAST, cel_of(self.pbx)))
            self.struck = await enter(self._make(self.pbx))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.verdict.wrong:
            shutil.rmtree(KEPT, ignore_errors=True)
            shutil.copytree(self.pbx.folder / "log", KEPT / "asterisk", dirs_exist_ok=True)
            self.struck.keep_logs()
            sockets = shutil.ignore_patterns("*.sock")
            shutil.copytree(self._folder, KEPT / "product", dirs_exist_ok=True, ignore=sockets)
        await self._stack.aclose()

    async def play(self, kind: str, story: Story) -> None:
        """Play one story with one blow, and compare the calls."""
        self._plays += 1
        async with ManagerTap(self.pbx.ami_port, "full", SECRET) as boss:
            office = AsteriskOffice(self.pbx, self._phones, self._trunk, boss, "PJSIP", self._plays)
            was_cut = await self._drive(kind, story, office)
            channels = {event["Uniqueid"] for event in boss.events("Newchannel")}
        await until(lambda: self.witness.hears, WELL)
        await until(self.struck.is_well, WELL)
        if was_cut is None:
            return
        found: list[str] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                while found := await self._wrong(story, channels, was_cut=was_cut):
                    await asyncio.sleep(0.2)  # another process's database cannot be awaited
        except TimeoutError:
            pass
        self.verdict.played[kind] += 1
        self.verdict.right[kind] += not found
        self.verdict.untellable += bool(self._untold)
        self.verdict.wrong += [f"{story.name} ({kind}, play {self._plays}): {what}" for what in found]
        mark = "; ".join(found) if found else "right"
        mark += "".join(f" ({what}: no record holds it)" for what in self._untold)
        print(f"{datetime.now(UTC):%H:%M:%S} {self._plays} {kind}, {story.name}: {mark}", flush=True)

    async def _drive(self, kind: str, story: Story, office: AsteriskOffice) -> bool | None:
        """Play the story and inject the blow. Returns whether the end of the PBX cut it short; None if the phones failed to play it."""
        driving = asyncio.ensure_future(self._told_to_the_end(story, office))
        cut: list[bool] = []

        async def when_pbx_goes() -> None:
            cut.append(not driving.done())
            driving.cancel()
            await asyncio.wait([driving])
            self._forget()

        await asyncio.sleep(self._dice.random() * 2.5)
        self._unheard = await self._strike(kind, self.struck, self.pbx, self._dice, when_pbx_goes)
        try:
            await driving
        except asyncio.CancelledError:
            if not driving.cancelled():
                raise
        except (AssertionError, TimeoutError) as error:
            print(f"{story.name}: the phones did not play it: {error!r}", flush=True)
            return None
        finally:
            self._forget()
        return any(cut)

    async def _told_to_the_end(self, story: Story, office: AsteriskOffice) -> None:
        await story.drive(office)
        if not story.restarts:
            await office.boss.settled()

    def _forget(self) -> None:
        phones: list[SipPhone] = [*self._phones.values(), self._trunk]
        for phone in phones:
            phone.forget()

    async def _wrong(self, story: Story, channels: set[str], *, was_cut: bool) -> list[str]:
        """The differences from what the people did, and from what the undisturbed listener reported."""
        self._untold.clear()
        rows = [row for row in await stored.stored_calls(self.struck.database) if channels & set(row.channel_ids)]
        told = [stored.comparable(row) for row in rows]
        heard = [call for call in self.witness.calls().values() if channels & set(call.channel_ids)]
        heard.sort(key=lambda call: call.started_at)
        true = [witness.comparable(call) for call in heard]
        record = await self._record()
        found = self._compared(told, true, story, "heard", record)
        if not (was_cut or story.restarts):
            found += self._compared(told, [dict(call) for call in story.calls], story, "done", record)
        found += record.differences(rows, channels, asked_only=story.name in ASKED_ONLY)
        found += [f"{call['linkedid']} is still open" for call in told if call["outcome"] == "open"]
        return list(dict.fromkeys(found))

    def _compared(
        self, told: Sequence[dict[str, Any]], true: Sequence[dict[str, Any]], story: Story, by: str, record: Record
    ) -> list[str]:
        if len(told) != len(true):
            return [f"{len(told)} calls instead of {len(true)} {by}"]
        left_open = UNTOLD.get(story.name, set()) | _LEFT_OPEN.get(story.name, set())
        found = []
        for mine, right in zip(told, true, strict=True):
            # Nobody listened when the PBX was killed, and it did not write the end of these channels: no one knows it.
            is_unknown_how_long = self._unheard and record.lacks_the_end_of(mine["channels"])
            may_have_spoken = not record.in_greeting.isdisjoint(mine["channels"])
            untold = left_open | (_SPANS if is_unknown_how_long else set()) | (_MAILBOX if may_have_spoken else set())
            for key, what in differences(mine, right, record).items():
                if key in untold:
                    self._untold[what] = None
                else:
                    found.append(f"{what} {by}")
        return found

    async def _record(self) -> Record:
        return await asyncio.to_thread(Record.read, cel_of(self.pbx))

    async def settle(self) -> Verdict:
        """Check all calls at the end: none lost, duplicated, invented or still open."""
        rows = {row.linkedid: row for row in await stored.stored_calls(self.struck.database)}
        heard = self.witness.calls()
        record = await self._record()
        stray = record.names.keys() - {channel for row in rows.values() for channel in row.channel_ids}
        self.verdict.calls, self.verdict.channels = len(heard), len(record.names)
        self.verdict.wrong += [f"{name} is not there" for name in sorted(heard.keys() - rows.keys())]
        self.verdict.wrong += [f"{name} never was a call of its own" for name in sorted(rows.keys() - heard.keys())]
        self.verdict.wrong += [f"{name} is still open" for name, row in sorted(rows.items()) if row.outcome == "open"]
        self.verdict.wrong += [f"{record.names[channel]} ({channel}) is in no call (CEL)" for channel in sorted(stray)]
        self.verdict.wrong += await stored.told_twice(self.struck.database)
        return self.verdict


def cel_of(pbx: AsteriskServer) -> Path:
    return pbx.folder / "log/cel-custom/Master.csv"


def stories() -> list[Story]:
    """The stories that do not restart the PBX themselves: the blows do that."""
    assert BOOKS  # importing them registers their stories
    return [story for story in STORIES.values() if not story.restarts and "PJSIP" in story.technologies]


async def play_many(running: Run[Thing], count: int, kinds: Sequence[str], names: Sequence[str] = ()) -> Verdict:
    """Play ``count`` stories with blows of the ``kinds``, in an order that depends on the seed."""
    played = [story for story in stories() if not names or story.name in names]
    dice = random.Random(running.verdict.seed)
    async with running:
        while running.verdict.played.total() < count:
            await running.play(dice.choice(kinds), dice.choice(played))
        return await running.settle()


def asked(kinds: Sequence[str]) -> tuple[int, int, Sequence[str], Sequence[str]]:
    """Number of blows, seed, kinds and stories of the command line ``[BLOWS] [SEED] [KIND,…] [STORY,…]``."""
    words = dict(enumerate(sys.argv))
    count, seed = int(words.get(1) or 100), int(words.get(2) or random.randrange(1 << 30))
    chosen = [words[number].split(",") if words.get(number) else () for number in (3, 4)]
    return count, seed, chosen[0] or kinds, chosen[1]
