"""A business side of the listener that keeps everything in memory and can be as unwell as a database."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy.exc

from pbxcrm.calls.facts import Batch, CallFact, CallState, FactKind, Handover, Outcome, ToldCall
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost, PbxReport, PbxState


class MemorySink:
    """Outlives listeners, as a database does. ``away`` makes it fail; ``refuses`` are linkedids it cannot digest."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.facts: dict[tuple[str, str], CallFact] = {}  # by linkedid and key, in the order first applied
        self.batches: list[Batch] = []
        self.reports: list[PbxReport] = []
        self.cursors: dict[str, JournalPosition] = {}
        self.leases: dict[str, tuple[Lease, datetime]] = {}
        self.hearing: dict[str, datetime] = {}  # owners that hear the PBX, and when they said so
        self.away = False
        self.refuses: set[str] = set()
        self.repeated = 0  # facts applied again
        self.gate = asyncio.Event()  # closed: apply waits
        self.gate.set()
        self.tried = 0
        self._clock = clock
        self._changed = asyncio.Condition()

    async def open_journal(
        self, pbx: str, journal: str, owner: str, *, is_new: bool, former: str = ""
    ) -> tuple[str, JournalPosition]:
        self._check()
        return journal, self.cursors.get(journal, JournalPosition(0, 0))

    async def handover(self, pbx: str) -> Handover:
        self._check()
        calls: dict[str, CallState] = {}
        for fact in self.facts.values():
            if fact.kind is FactKind.ABSORBED or fact.call.outcome is not Outcome.OPEN:
                calls.pop(fact.call.linkedid, None)
            else:
                calls[fact.call.linkedid] = fact.call
        heard = [report.last_event_at for report in self.reports if report.last_event_at is not None]
        heard += [fact.at for fact in self.facts.values()]
        return Handover(max(heard, default=None), tuple(calls.values()))

    async def apply(self, batch: Batch) -> None:
        self.tried += 1
        await self._tell()
        await self.gate.wait()
        self._check()
        if batch.lease is not None and self.leases[batch.pbx][0] != batch.lease:
            raise LeaseLost(batch.pbx)
        if bad := self.refuses & {fact.call.linkedid for fact in batch.facts}:
            raise ValueError(f"cannot digest {bad}")
        for fact in batch.facts:
            key = (fact.call.linkedid, fact.key)
            self.repeated += key in self.facts
            self.facts.setdefault(key, fact)
        self.batches.append(batch)
        self.cursors[batch.journal] = batch.cursor
        await self._tell()

    async def add_missing(self, batch: Batch) -> None:
        over = {linkedid for linkedid, told in (await self.already_told(batch.pbx, set())).items() if told.is_over}
        for fact in batch.facts:
            if fact.call.linkedid not in over:
                self.facts.setdefault((fact.call.linkedid, fact.key), fact)
        await self._tell()

    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        self._check()
        keys: dict[str, set[str]] = {}
        over = set[str]()
        for (linkedid, key), fact in self.facts.items():
            keys.setdefault(linkedid, set()).add(key)
            if fact.kind in {FactKind.ENDED, FactKind.ABSORBED}:
                over.add(linkedid)
        return {linkedid: ToldCall(linkedid in over, frozenset(told)) for linkedid, told in keys.items()}

    async def move_cursor(self, pbx: str, journal: str, cursor: JournalPosition) -> None:
        self._check()
        self.cursors[journal] = cursor

    async def report(self, report: PbxReport, owner: str = "") -> None:
        self._check()
        self.reports.append(report)
        await self._tell()

    async def hold_lease(
        self,
        pbx: str,
        journal: str,
        owner: str,
        seconds: float,
        *,
        is_hearing: bool = True,
        has_waited: bool = True,
        answered_for: timedelta = timedelta(0),
    ) -> Lease | None:
        self._check()
        now = self._clock()
        if is_hearing:
            self.hearing[owner] = now
        else:
            self.hearing.pop(owner, None)
        lease, until = self.leases.get(pbx, (Lease("", 0), now))
        others = [at for other, at in self.hearing.items() if other != owner and (now - at).total_seconds() < seconds]
        if not is_hearing and others:
            if lease.owner == owner:
                self.leases[pbx] = (Lease("", lease.epoch), now)
            return None
        if lease.owner not in {"", owner} and until > now:
            return None
        if lease.owner != owner:
            lease = Lease(owner, lease.epoch + 1)
        self.leases[pbx] = (lease, now + timedelta(seconds=seconds))
        return lease

    async def lease_left(self, pbx: str) -> float:
        self._check()
        return (self.leases[pbx][1] - self._clock()).total_seconds() if pbx in self.leases else 0.0

    async def release_lease(self, pbx: str, owner: str) -> None:
        self._check()
        lease, until = self.leases.get(pbx, (Lease("", 0), self._clock()))
        if lease.owner == owner:
            self.leases[pbx] = (Lease("", lease.epoch), until)

    def _check(self) -> None:
        if self.away:
            raise sqlalchemy.exc.OperationalError("UPDATE pbx SET …", {}, Exception("database is locked"))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds; it is looked at whenever something was applied, tried or reported."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(true)

    async def until_state(self, state: PbxState, code: str | None = None) -> PbxReport:
        def there() -> bool:
            return bool(self.reports) and self.reports[-1].state == state and code in {None, self.reports[-1].code}

        await self.until(there)
        return self.reports[-1]

    def applied(self) -> list[str]:
        return [f"{linkedid} {key}" for linkedid, key in self.facts]
