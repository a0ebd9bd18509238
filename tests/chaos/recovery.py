"""Failures of the product during real calls: ``python -m tests.chaos.recovery [BLOWS] [SEED] [KIND,…] [STORY,…]``.

A real Asterisk, phones and a trunk play the stories of ``tests/asterisk``, one after the other. During each, something is killed,
stopped or disconnected: the listener, another part, everything, PostgreSQL, Redis, the connection to the PBX, the PBX itself.
Then each call in the database is compared, by its channels, with what the people in the story did and with what an undisturbed
listener reported. Prints a table. Exit code 1 if a call was lost, duplicated or differs.
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pbxcrm.calls.rules import clean_caller_name
from pbxcrm.composition import compose
from pbxcrm.shared.logs import configure
from tests.asterisk.manager import ManagerTap
from tests.asterisk.office import SECRET, Office, running_office
from tests.asterisk.phone import Phone
from tests.asterisk.record import BOOKS
from tests.asterisk.stories.story import STORIES, Story
from tests.chaos import blows, product, witness
from tests.chaos.product import WELL, Product
from tests.chaos.witness import Witness
from tests.databases import Postgres, postgres_programs, running_postgres
from tests.scenarios.test_cel import TOGETHER, UNTOLD
from tests.waiting import until

KEPT = Path(tempfile.gettempdir()) / "pbxcrm-recovery"  # journals, logs and CEL file of a failed run
_PATIENCE = 30.0  # seconds in which the rows must be correct, once the product is ready again
_TIMES = {"started_at", "answered_at", "ended_at"}  # not compared: they come from different clocks or places in the PBX
_SPANS = {"wait_seconds", "talk_seconds"}
_SPAN_TOLERANCE = 0.5  # seconds, as in the cut tests
_LEAST = f"least:{SECRET}"


@dataclass
class Verdict:
    """The result of a run; ``wrong`` are sentences, one per difference."""

    seed: int
    played: Counter[str] = field(default_factory=Counter)  # by blow
    right: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    untellable: int = 0  # plays with a difference that no record of the PBX could have prevented
    wrong: list[str] = field(default_factory=list)

    def table(self) -> str:
        lines = ["| blow | times | told rightly after it |", "| --- | --- | --- |"]
        lines += [f"| {kind} | {self.played[kind]} | {self.right[kind]} |" for kind in sorted(self.played)]
        lines += [f"| **all** | {self.played.total()} | {self.right.total()} |"]
        return "\n".join(lines)


def differences(told: dict[str, Any], true: dict[str, Any], *, any_order: bool) -> dict[str, str]:
    """The differences of one call from the expected one, as sentences by key."""
    found = {}
    kept = true | ({"client_name": clean_caller_name(true["client_name"])} if "client_name" in true else {})
    for key, value in kept.items():
        if key in _TIMES:
            continue
        mine = told[key]
        if key in _SPANS:
            same = abs((mine or 0) - (value or 0)) <= _SPAN_TOLERANCE
        elif key == "rang" and any_order:
            same = sorted(mine) == sorted(value)
        else:
            same = mine == value
        if not same:
            found[key] = f"{key}: {mine!r} instead of {value!r}"
    return found


class Run:
    """``async with``, then ``play`` any number of times, then ``settle``."""

    def __init__(self, postgres: Postgres, folder: Path, seed: int) -> None:
        self.verdict = Verdict(seed)
        self._postgres = postgres
        self._folder = folder
        self._dice = random.Random(seed)
        self._plays = 0
        self._unheard = False  # the PBX was killed while nothing listened
        self._untold: dict[str, None] = {}  # of the current story: differences about what no record holds
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            self.pbx, self._phones, self._trunk = await enter(running_office("22"))
            cel = self.pbx.folder / "log/cel-custom/Master.csv"
            self.witness = await enter(Witness(self._folder, self.pbx.ami_port, _LEAST))
            self.product = await enter(Product(self._folder, self._postgres, self.pbx.ami_port, _LEAST, cel))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.verdict.wrong:
            shutil.rmtree(KEPT, ignore_errors=True)
            shutil.copytree(self.pbx.folder / "log", KEPT / "asterisk", dirs_exist_ok=True)
            if self.product.run is not None:
                (self._folder / "log").open("a").write(self.product.run.said)
            sockets = shutil.ignore_patterns("*.sock")
            shutil.copytree(self._folder, KEPT / "product", dirs_exist_ok=True, ignore=sockets)
        await self._stack.aclose()

    async def play(self, kind: str, story: Story) -> None:
        """Play one story with one blow, and compare the calls."""
        self._plays += 1
        async with ManagerTap(self.pbx.ami_port, "full", SECRET) as boss:
            office = Office(self.pbx, self._phones, self._trunk, boss, "PJSIP", self._plays)
            was_cut = await self._drive(kind, story, office)
            channels = {event["Uniqueid"] for event in boss.events("Newchannel")}
        await until(lambda: self.witness.hears, WELL)
        await until(self.product.is_well, WELL)
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

    async def _drive(self, kind: str, story: Story, office: Office) -> bool | None:
        """Play the story and inject the blow. Returns whether the end of the PBX cut it short; None if the phones failed to play it."""
        driving = asyncio.ensure_future(self._told_to_the_end(story, office))
        cut: list[bool] = []

        async def when_pbx_goes() -> None:
            cut.append(not driving.done())
            driving.cancel()
            await asyncio.wait([driving])
            self._forget()

        await asyncio.sleep(self._dice.random() * 2.5)
        self._unheard = await blows.strike(kind, self.product, self.pbx, self._dice, when_pbx_goes)
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

    async def _told_to_the_end(self, story: Story, office: Office) -> None:
        await story.drive(office)
        if not story.restarts:
            await office.boss.settled()

    def _forget(self) -> None:
        phones: list[Phone] = [*self._phones.values(), self._trunk]
        for phone in phones:
            phone.forget()

    async def _wrong(self, story: Story, channels: set[str], *, was_cut: bool) -> list[str]:
        """The differences from what the people did, and from what the undisturbed listener reported."""
        self._untold.clear()
        rows = [row for row in await self.product.rows() if channels & set(row.channel_ids)]
        told = [product.comparable(row) for row in rows]
        heard = [call for call in self.witness.calls().values() if channels & set(call.channel_ids)]
        heard.sort(key=lambda call: call.started_at)
        true = [witness.comparable(call) for call in heard]
        found = self._compared(told, true, story, "heard")
        if not (was_cut or story.restarts):
            found += self._compared(told, [dict(call) for call in story.calls], story, "done")
        found += [f"{call['linkedid']} is still open" for call in told if call["outcome"] == "open"]
        return list(dict.fromkeys(found))

    def _compared(
        self, told: Sequence[dict[str, Any]], true: Sequence[dict[str, Any]], story: Story, by: str
    ) -> list[str]:
        if len(told) != len(true):
            return [f"{len(told)} calls instead of {len(true)} {by}"]
        untold = UNTOLD.get(story.name, set()) | (_SPANS if self._unheard else set())
        found = []
        for mine, right in zip(told, true, strict=True):
            for key, what in differences(mine, right, any_order=story.name in TOGETHER).items():
                if key in untold:
                    self._untold[what] = None
                else:
                    found.append(f"{what} {by}")
        return found

    async def settle(self) -> Verdict:
        """Check all calls at the end: none lost, duplicated, invented or still open."""
        rows = {row.linkedid: row for row in await self.product.rows()}
        heard = self.witness.calls()
        self.verdict.calls = len(heard)
        self.verdict.wrong += [f"{name} is not there" for name in sorted(heard.keys() - rows.keys())]
        self.verdict.wrong += [f"{name} never was a call of its own" for name in sorted(rows.keys() - heard.keys())]
        self.verdict.wrong += [f"{name} is still open" for name, row in sorted(rows.items()) if row.outcome == "open"]
        self.verdict.wrong += await self.product.told_twice()
        return self.verdict


def stories() -> list[Story]:
    """The stories that do not restart the PBX themselves: the blows do that."""
    assert BOOKS  # importing them registers their stories
    return [story for story in STORIES.values() if not story.restarts and "PJSIP" in story.technologies]


async def run(
    postgres: Postgres, folder: Path, count: int, seed: int, kinds: Sequence[str], names: Sequence[str] = ()
) -> Verdict:
    """Play ``count`` stories with blows of the ``kinds``, in an order that depends on ``seed``."""
    played = [story for story in stories() if not names or story.name in names]
    dice = random.Random(seed)
    async with Run(postgres, folder, seed) as running:
        while running.verdict.played.total() < count:
            await running.play(dice.choice(kinds), dice.choice(played))
        return await running.settle()


def chosen(number: int, default: Sequence[str]) -> Sequence[str]:
    return sys.argv[number].split(",") if len(sys.argv) > number and sys.argv[number] else default


def main() -> None:
    compose()
    configure("ERROR")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is missing (apt-get install postgresql)")
    print(f"{count} blows, seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="recovery-") as folder,
        running_postgres(programs, keeps_commits=True) as postgres,
    ):
        found = asyncio.run(run(postgres, Path(folder), count, seed, chosen(3, blows.KINDS), chosen(4, ())))
    print(*found.wrong, found.table(), sep="\n")
    print(
        f"{found.played.total()} blows (seed {seed}), {found.calls} calls, {len(found.wrong)} differences,"
        f" {found.untellable} calls of which something is in no record (see UNTOLD in tests/scenarios/test_cel.py)"
    )
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
