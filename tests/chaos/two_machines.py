"""Two listeners, as on two machines, with one PostgreSQL and one PBX, and the failures that are injected.

Each machine is a process ``pbxcrm listen`` with its own data directory. It reaches the database and the PBX only through
proxies that can be cut. The PBX is simulated; a tracker that gets all its messages tells what it really did.
"""

import asyncio
import os
import random
import signal
import sys
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
from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.shared.db import Database, database_now
from tests.chaos.proxy import Proxy
from tests.databases import Postgres, fresh_name
from tests.office import open_office
from tests.waiting import until

EXTENSIONS = ("101", "102", "103", "104")
SETTLED = 300.0  # seconds until both machines have recovered
_END = {FactKind.ENDED, FactKind.ABSORBED}


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


class Machine:
    """One listener process; its clock is ``ahead`` seconds fast."""

    def __init__(self, folder: Path, database: Proxy, pbx: Proxy, urls: tuple[str, str], ahead: int = 0) -> None:
        self.folder = folder
        self.database, self.pbx = database, pbx
        self.process: asyncio.subprocess.Process | None = None
        self.is_stopped = False
        self._urls = urls
        self._ahead = ahead

    async def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
        environ = {
            "PBXCRM_DATA_DIR": str(self.folder),
            "PBXCRM_DATABASE_URL": self._urls[0],
            "PBXCRM_AMI_URL": self._urls[1],
            "PBXCRM_AGI_BIND": "127.0.0.1:0",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.wrong_clock", str(self._ahead), "listen"),
                stdout=log,
                stderr=log,
                env=clean | environ,
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.is_stopped = number is signal.SIGSTOP

    async def end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            if number is signal.SIGTERM:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), 10)
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    def check_runs(self) -> None:
        """Raises RuntimeError with the last log line when the process has exited by itself."""
        if self.process is not None and self.process.returncode is not None:
            last = (self.folder / "log").read_text(errors="replace").rstrip().rpartition("\n")[2]
            raise RuntimeError(f"machine {self.folder.name} ended by itself: {last}")

    @property
    def journals(self) -> set[str]:
        return {path.read_text().strip() for path in self.folder.glob("journal/*/name")}


@dataclass
class Verdict:
    """The result of a run; ``wrong`` are sentences, one per difference."""

    calls: int = 0
    blows: int = 0
    takeovers: int = 0
    longest_takeover: float = 0.0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # the stored events of calls that differ


class TwoMachines:
    """``async with``, then ``go`` with the number of blows, then ``verdict``."""

    def __init__(self, postgres: Postgres, folder: Path, *, seed: int, rate: float = 3.0, speed: float = 4.0) -> None:
        self.pbx = HonestPbx(seed, speed)
        self.blows = 0
        self._postgres = postgres
        self._folder = folder
        self._dice = random.Random(seed)
        self._rate = rate
        self._stack = AsyncExitStack()
        self._name = fresh_name()
        self._takeovers: list[float] = []

    async def __aenter__(self) -> Self:
        url = await self._postgres.create(self._name)
        self._stack.push_async_callback(self._postgres.drop, self._name)
        self.database = Database(url, pool_size=2)
        self._stack.push_async_callback(self.database.close)
        await open_office(self.database)
        await self._stack.enter_async_context(self.pbx)
        self.machines = [await self._machine(name, ahead) for name, ahead in (("one", 0), ("two", 20))]
        for machine in self.machines:
            await machine.start()
        await until(self._both_hear, SETTLED)
        self._ringing = asyncio.create_task(self.pbx.run(self._rate * 60))
        return self

    async def __aexit__(self, *_: object) -> None:
        if hasattr(self, "_ringing"):
            self._ringing.cancel()
            await asyncio.gather(self._ringing, return_exceptions=True)
        for machine in getattr(self, "machines", []):
            await machine.end(signal.SIGKILL)
        await self._stack.aclose()

    async def _machine(self, name: str, ahead: int) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        socket = str(self._postgres.folder / ".s.PGSQL.5432")
        database = await self._stack.enter_async_context(Proxy(lambda: asyncio.open_unix_connection(socket)))
        pbx = await self._stack.enter_async_context(Proxy(lambda: asyncio.open_connection("127.0.0.1", self.pbx.port)))
        database_url = f"postgresql://postgres@127.0.0.1:{database.port}/{self._name}"
        pbx_url = f"ami://{self.pbx.user}:{self.pbx.secret}@127.0.0.1:{pbx.port}"
        return Machine(folder, database, pbx, (database_url, pbx_url), ahead)

    # The failures.

    async def go(self, blows: int, kinds: Sequence[str] | None = None) -> None:
        """Inject ``blows`` failures one after the other. One machine always hears the PBX; both may lose the database."""
        every = kinds or (
            "kill",
            "kill",
            "stop",
            "pbx",
            "database",
            "both databases",
            "restart",
            "kill without database",
        )
        for number in range(blows):
            kind = every[number % len(every)] if kinds else self._dice.choice(every)
            leader = await self._leader()
            victim = leader if self._dice.random() < 0.7 else self._other(leader)
            await self._strike(kind, victim)
            self.blows += 1
            await until(self._both_hear, SETTLED)
            await asyncio.sleep(self._dice.uniform(0.2, 2.0))

    async def _strike(self, kind: str, victim: Machine) -> None:
        other = self._other(victim)
        pause = self._dice.uniform(0.5, 5.0)
        print(f"{datetime.now(UTC):%H:%M:%S} {kind}, machine {victim.folder.name}", file=sys.stderr)
        if kind == "kill":
            led = victim is await self._leader()
            await victim.end(signal.SIGKILL)
            if led:
                await self._take_the_time(other)
            await asyncio.sleep(pause / 2)
            await victim.start()
        elif kind == "stop":
            victim.send(signal.SIGSTOP)
            await asyncio.sleep(pause)
            victim.send(signal.SIGCONT)
        elif kind == "pbx":
            victim.pbx.cut()
            await asyncio.sleep(pause)
            victim.pbx.mend()
        elif kind == "database":
            victim.database.cut()
            await asyncio.sleep(pause)
            victim.database.mend()
        elif kind == "both databases":
            for machine in self.machines:
                machine.database.cut()
            await asyncio.sleep(pause)
            for machine in self.machines:
                machine.database.mend()
        elif kind == "restart":
            await victim.end(signal.SIGTERM)
            await victim.start()
        else:  # what the killed machine had heard is only in the other's memory and in both journals
            for machine in self.machines:
                machine.database.cut()
            await asyncio.sleep(pause / 2)
            await victim.end(signal.SIGKILL)
            await asyncio.sleep(pause / 2)
            for machine in self.machines:
                machine.database.mend()
            await victim.start()

    async def _take_the_time(self, heir: Machine) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await until(lambda: self._leads(heir), SETTLED)
        self._takeovers.append(loop.time() - began)

    async def _leads(self, machine: Machine) -> bool:
        return await self._leader_or_none() is machine

    def _other(self, machine: Machine) -> Machine:
        return self.machines[1 - self.machines.index(machine)]

    async def _epoch(self) -> int:
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
        return status.lease_epoch if status is not None else 0

    async def _leader(self) -> Machine:
        await until(self._leader_or_none, SETTLED)
        return await self._leader_or_none() or self.machines[0]

    async def _leader_or_none(self) -> Machine | None:
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
            rows = (await session.exec(select(PbxJournal))).all()
        names = {row.journal for row in rows if status is not None and row.owner and row.owner == status.lease_owner}
        return next((machine for machine in self.machines if machine.journals & names), None)

    async def _both_hear(self) -> bool:
        """Whether both processes are logged in at the PBX and one leads. Raises RuntimeError when one has exited."""
        for machine in self.machines:
            machine.check_runs()
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
            now = await database_now(session)
            rows = (await session.exec(select(PbxJournal))).all()
        fresh = {
            row.journal for row in rows if row.is_hearing and row.seen_at and (now - row.seen_at).total_seconds() < 1
        }
        leads = status is not None and status.lease_until is not None and status.lease_until > now
        return leads and all(machine.journals & fresh for machine in self.machines)

    # The result.

    async def verdict(self) -> Verdict:
        """Wait until all calls end, and compare each with what the PBX really did."""
        self._ringing.cancel()
        await until(lambda: not self.pbx.going_on, 120)
        await asyncio.sleep(3)  # a verdict of missed is held for two seconds
        truth = self.pbx.truth()
        found = Verdict(
            calls=len(truth),
            blows=self.blows,
            takeovers=await self._epoch() - 1,
            longest_takeover=max(self._takeovers, default=0.0),
        )
        with suppress(TimeoutError):
            await until(lambda: self._are_told(truth), 60)
        async with self.database.read() as session:
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
        kinds: dict[tuple[int, str], int] = {}
        for event in events:
            kinds[event.call_id, event.kind] = kinds.get((event.call_id, event.kind), 0) + 1
        for name, call in calls.items():
            if call.merged_into_id is None and name not in truth:
                found.wrong.append(f"{name} never was a call of its own")
            for kind in ("opened", "ended"):
                if kinds.get((call.id or 0, kind), 0) > 1:
                    found.wrong.append(f"{name} was {kind} {kinds[call.id or 0, kind]} times")
        return found

    async def _are_told(self, truth: dict[str, CallState]) -> bool:
        async with self.database.read() as session:
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
