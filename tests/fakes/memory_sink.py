"""A business side of the listener that keeps everything in memory and can be as unwell as a database."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy.exc

from pbxcrm.calls.facts import Batch, CallFact, CallState, Cursor, FactKind, Handover, Outcome, PbxReport, PbxState


class MemorySink:
    """Outlives listeners, as a database does. ``away`` makes it fail; ``refuses`` are linkedids it cannot digest."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.facts: dict[tuple[str, str], CallFact] = {}  # by linkedid and key, in the order first applied
        self.batches: list[Batch] = []
        self.reports: list[PbxReport] = []
        self.cursors: dict[str, Cursor] = {}
        self.leases: dict[str, tuple[str, datetime]] = {}
        self.away = False
        self.refuses: set[str] = set()
        self.repeated = 0  # facts applied again
        self.gate = asyncio.Event()  # closed: apply waits
        self.gate.set()
        self.tried = 0
        self._clock = clock
        self._changed = asyncio.Condition()

    async def cursor(self, pbx: str) -> Cursor:
        self._check()
        return self.cursors.get(pbx, Cursor(0, 0))

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
        if bad := self.refuses & {fact.call.linkedid for fact in batch.facts}:
            raise ValueError(f"cannot digest {bad}")
        for fact in batch.facts:
            key = (fact.call.linkedid, fact.key)
            self.repeated += key in self.facts
            self.facts.setdefault(key, fact)
        self.batches.append(batch)
        self.cursors[batch.pbx] = batch.cursor
        await self._tell()

    async def report(self, report: PbxReport) -> None:
        self._check()
        self.reports.append(report)
        await self._tell()

    async def acquire_lease(self, pbx: str, owner: str, seconds: float) -> bool:
        self._check()
        holder, until = self.leases.get(pbx, (owner, self._clock()))
        if holder != owner and until > self._clock():
            return False
        self.leases[pbx] = (owner, self._clock() + timedelta(seconds=seconds))
        return True

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
