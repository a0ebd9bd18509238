"""Two listeners of one recorded PBX, without network and without waiting: what each hears, and who leads, is told message by message.

The real ``Follower`` with its journal, tracker and CEL file; only the link, the clock and the database are played.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ami.backfill import Backfill
from ami.backfill_thread import Recovery
from ami.connection import AmiConnection
from ami.fact_applier import Applier
from ami.follower import Follower
from ami.journal import Journal
from ami.messages import Message
from ami.state_reports import Reporter
from ami.tracker import Tracker, TrackerSettings
from ami.url import AmiUrl
from pbxcrm.calls.facts import Batch, CallFact, CallState, FactKind, Handover, Outcome, ToldCall
from pbxcrm.pbx.state import JournalPosition, Lease
from tests.fakes.memory_sink import MemorySink
from tests.scenarios.moments import Shown

PBX = "main"
_LAST = {FactKind.ENDED, FactKind.ABSORBED}


class RecordedPbx:
    """The PBX at the time ``now``: it answers what ``Shown`` shows. ``booted_at`` is its last start."""

    def __init__(self, now: datetime, booted_at: datetime) -> None:
        self.now = now
        self.booted_at = booted_at
        self.shown = Shown()
        self.last_event_at: datetime | None = None

    async def send(self, action: Mapping[str, str], *, as_list: bool = False) -> list[Message]:
        """The answers to the actions of a login."""
        snapshot = self.shown.snapshot((), self.now)
        match action["Action"]:
            case "Ping":
                return [{"Timestamp": f"{self.now.timestamp():.6f}"}]
            case "CoreStatus":
                booted = self.booted_at
                return [{"CoreStartupDate": f"{booted:%Y-%m-%d}", "CoreStartupTime": f"{booted:%H:%M:%S}"}]
            case "CoreSettings":
                return [{"AsteriskVersion": "22"}]
            case "CoreShowChannels":
                return [dict(channel) | {"Event": "CoreShowChannel"} for channel in snapshot.channels]
            case "BridgeList":
                bridges = [(b.bridge_id, b.technology) for b in snapshot.bridges]
                return [{"Event": "BridgeListItem", "BridgeUniqueid": b, "BridgeTechnology": t} for b, t in bridges]
            case "BridgeInfo":
                members = next(b.channel_ids for b in snapshot.bridges if b.bridge_id == action["BridgeUniqueid"])
                return [{"Event": "BridgeInfoChannel", "Uniqueid": member} for member in members]
            case "QueueStatus":
                return [dict(entry) | {"Event": "QueueEntry"} for entry in snapshot.waiting]
        raise AssertionError(action)

    def give_up(self, error: Exception) -> None:
        raise error


class Stored(MemorySink):
    """As the database: it counts facts of open calls, and a call that is over stays so, unless nobody knew how it ended."""

    async def handover(self, pbx: str) -> Handover:
        known = await super().handover(pbx)
        open_calls = {call.linkedid for call in known.open_calls}
        told: dict[tuple[str, str, str], int] = {}
        for fact in self.facts.values():
            if fact.call.linkedid in open_calls:
                name = (fact.call.linkedid, fact.kind.value, fact.party)
                told[name] = told.get(name, 0) + 1
        return Handover(known.heard_until, known.open_calls, told)

    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        told = await super().already_told(pbx, linkedids)
        unknown = {name for name, call in self.calls().items() if call.outcome is Outcome.UNKNOWN}
        return {name: ToldCall(call.is_over, call.keys, name in unknown) for name, call in told.items()}

    async def apply(self, batch: Batch) -> None:
        over = {name for name, told in (await self.already_told(batch.pbx, set())).items() if told.is_over}
        facts = []
        for fact in batch.facts:
            if fact.call.linkedid not in over:
                facts.append(fact)
            if fact.kind in _LAST:
                over.add(fact.call.linkedid)
        await super().apply(Batch(batch.pbx, tuple(facts), batch.cursor, batch.journal, batch.lease))

    async def add_missing(self, batch: Batch) -> None:
        unknown = {name for name, call in self.calls().items() if call.outcome is Outcome.UNKNOWN}
        for fact in batch.facts:
            if fact.call.linkedid in unknown and fact.kind in _LAST:
                self.facts[fact.call.linkedid, fact.key] = fact
        await super().add_missing(batch)

    def calls(self) -> dict[str, CallState]:
        """The latest state of each call by its linkedid, without those that were merged into another."""
        calls: dict[str, CallState] = {}
        for fact in self.facts.values():
            calls[fact.call.linkedid] = fact.call
        for fact in self.facts.values():
            if fact.kind is FactKind.ABSORBED:
                calls.pop(fact.call.linkedid, None)
        return calls


class ListenerMachine:
    """A listener whose clock is ``ahead`` of the PBX's. ``restart`` begins a new term, as after a start or a lost lease."""

    def __init__(self, folder: Path, pbx: RecordedPbx, sink: Stored, cel_csv: Path, ahead: float = 0.0) -> None:
        self._folder = folder
        self._pbx = pbx
        self._sink = sink
        self._recover: Recovery = Backfill(lambda: Tracker(TrackerSettings(pbx=PBX)), cel_csv=cel_csv)
        self._ahead = timedelta(seconds=ahead)
        self._journal: Journal | None = None
        self.leads = False

    def now(self) -> datetime:
        return self._pbx.now + self._ahead

    async def restart(self) -> None:
        """Begin a term and log in; nothing is fed before ``begin``."""
        self.close()
        self._journal = journal = Journal(self._folder)
        reporter = Reporter(PBX, self._sink, self.now, self._folder.name)
        connection = AmiConnection(AmiUrl.parse("ami://u:p@127.0.0.1:1"), reporter.tell, self.now)
        applier = Applier(self._sink, self._folder, lambda _code, _params: None)
        self._follower = Follower(
            journal,
            Tracker(TrackerSettings(pbx=PBX)),
            self._sink,
            applier,
            reporter,
            connection,
            self.now,
            recover=self._recover,
        )
        self.leads = False
        assert await self._follower._begin(self._pbx)  # type: ignore[arg-type]  # it is asked like a link
        self._follower._hears_since = asyncio.get_running_loop().time() - 10

    async def begin(self, *, leading: bool = False) -> None:
        """Feed the tracker from where the database knows the journal."""
        assert self._journal is not None
        cursor = self._sink.cursors.get(self._journal.name, JournalPosition(0, 0))
        self._follower.begin(cursor, await self._sink.handover(PBX), self._take_lease() if leading else None)
        self.leads = leading

    def hear(self, raw: Sequence[bytes]) -> None:
        """Write what the PBX says to the journal."""
        self._follower._write([(self.now(), message) for message in raw])

    async def work(self) -> None:
        """Feed what was written; a leader applies its facts, a standby drops what the database knows."""
        if self.leads:
            while await self._follower._round():
                pass
        else:
            while await self._follower._round_of_standby():
                pass
            await self._follower.compare()

    async def take_over(self) -> None:
        await self.work()
        await self._follower.forget_told()
        lease = self._take_lease()
        self.leads = True
        await self._follower._begin_to_lead(lease, await self._sink.handover(PBX))

    def _take_lease(self) -> Lease:
        known = self._sink.leases.get(PBX)
        lease = Lease(self._folder.name, 1 if known is None else known[0].epoch + 1)
        self._sink.leases[PBX] = (lease, self._pbx.now)
        return lease

    def close(self) -> None:
        """It is killed: what it had not applied is only in its journal."""
        if self._journal is not None:
            self._journal.close()


def told_once(facts: Mapping[tuple[str, str], CallFact]) -> list[str]:
    """Calls that ended more than once."""
    ends = [name for (name, _), fact in facts.items() if fact.kind is FactKind.ENDED]
    return [f"{name} ended twice" for name in set(ends) if ends.count(name) > 1]
