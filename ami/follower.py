"""Follows a PBX: link → journal → tracker → database, while this listener holds the lease; a standby keeps its facts.

Two tasks share a position in the journal. ``_listen`` writes what comes to the journal and never waits for anything else,
because Asterisk disconnects a client that does not read. ``_pump`` feeds the tracker and applies facts; messages that come
while the database works become the next batch, so batches are small in quiet times and large under load. When the pump
falls far behind, it reads from the journal instead of memory, as it does at a start after a crash.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

import structlog

from ami import snapshot as snapshots
from ami.backfill_thread import Gap, Recovery
from ami.call_tracker import CallTracker
from ami.cel_translation import Told
from ami.connection import AmiConnection, Frame, Link
from ami.errors import ActionRefused, AmiError, JournalFull, LinkDown, LoginRefused
from ami.fact_applier import Applier, Sink, describe
from ami.heard_messages import Heard
from ami.inherited_calls import Inherited
from ami.journal import Journal, JournalRecord
from ami.messages import parse
from ami.pbx_clock import clock_error, clock_shift, in_our_time
from ami.rings_first import RINGING, rings_first
from ami.standby_facts import Untold
from ami.state_reports import Reporter
from ami.take_snapshot import clock_offset, take_snapshot
from ami.tracker.clock import event_time
from ami.waiting import wait_at_most
from pbxcrm.calls.facts import Batch, CallFact, Handover, Outcome
from pbxcrm.pbx.state import JournalPosition, Lease, PbxState

log = structlog.get_logger(__name__)
Thing = TypeVar("Thing")

_TICK = 0.5  # seconds
_ROUND = 500  # messages fed before the database and the link get a turn
_FEW = 8  # facts applied in one go; they may make deals and tasks, and a ring may have to wait for them
_SLOWER = 0.1  # seconds in which such facts gather: a batch of ten costs little more than a batch of one
_CURSOR_WITHIN = 1.0  # seconds after which the cursor moves, even under load
_GATHER = 0.03  # seconds in which facts gather: half of the cost of a batch does not depend on its size
_RINGS_TOGETHER = (
    0.004  # seconds after the first ring: a call often rings at several phones, each told in a message of its own
)
_LIVE_MOST = 50_000  # messages in memory; beyond this the journal is read instead
_CURSOR_EVERY = timedelta(seconds=30)  # in idle times
_CLOCK_TOLERANCE = 5.0  # seconds
_PRUNE_EVERY = 3600  # seconds
_KNOWS_AFTER = 3.0  # seconds; longer than a verdict is held (two seconds)
_NOBODY_TELLS = 15.0  # seconds after which a standby itself applies a call that ended
_ASKED_AT_ONCE = 500  # calls
_APPLIED_AT_ONCE = 100  # facts
HANGUP_REQUEST = b"Event: HangupRequest"
LINK_LOST = b"Event: PbxcrmLinkLost"  # written to the journal when the link breaks
_DAMAGE_SHOWN = 600  # seconds a damaged journal stays on the status page


def in_parts(things: Sequence[Thing], size: int) -> Iterator[Sequence[Thing]]:
    """Slices of ``things`` in order, each of at most ``size``."""
    return (things[start : start + size] for start in range(0, len(things), size))


class Follower:
    """One term of following a PBX. It writes the journal at once, and feeds the tracker only after ``begin``.

    Without a lease it is a standby: it keeps its facts, and ``compare`` drops those that the database knows.
    """

    def __init__(
        self,
        journal: Journal,
        tracker: CallTracker,
        sink: Sink,
        applier: Applier,
        reporter: Reporter,
        connection: AmiConnection,
        clock: Callable[[], datetime],
        *,
        recover: Recovery | None = None,
        keep: timedelta = timedelta(days=7),
    ) -> None:
        self.lease: Lease | None = None
        self._hears_since: float | None = None  # loop time since when it is logged in and has a snapshot
        self._journal = journal
        self._tracker = tracker
        self._sink = sink
        self._applier = applier
        self._reporter = reporter
        self._connection = connection
        self._clock = clock
        self._gap = Gap(recover, clock)
        self._keep = keep
        self._began = journal.began  # earlier positions were written in an earlier term
        self._applied = JournalPosition(0, 0)
        self._applied_at = clock()
        self._silent_before = 0  # facts of messages before this position are already in the database
        self._fed = 0
        self._heard_at = journal.last_at  # when the PBX was last heard; calls that ended later may need recovery
        self._shift = timedelta(0)  # the PBX's clock minus ours when the last snapshot was taken
        self._clock_error = timedelta(0)  # the times in the PBX's files minus those of events
        self._heard = Heard()
        self._others_heard_at: datetime | None = None  # the same for the listener that was active before
        self._inherited = Inherited(Handover())
        self._untold = Untold(asyncio.get_running_loop().time)
        self._promoted: tuple[Lease, Handover] | None = None  # lease and handover for the pump to begin to lead
        self._begun = asyncio.Event()
        self._waiting: deque[CallFact] = deque()  # facts that raise no card and are applied a little later
        self._waiting_since = 0.0
        self._live: deque[JournalRecord] = deque()
        self._reader: Iterator[JournalRecord] | None = None
        self._behind = True  # messages are read from the journal, not from memory
        self._lost_told = 0
        self._wake = asyncio.Event()
        self._rings = asyncio.Event()  # set when a phone begins to ring: apply at once
        self._rang_at = 0.0  # loop time of the first of these rings

    @property
    def is_hearing(self) -> bool:
        """Whether it has heard the PBX long enough to know the outcome of calls that ended a moment ago."""
        since = self._hears_since
        return since is not None and asyncio.get_running_loop().time() - since > _KNOWS_AFTER

    @property
    def is_following(self) -> bool:
        """Whether it is logged in and has a snapshot."""
        return self._hears_since is not None

    def begin(self, cursor: JournalPosition, handover: Handover, lease: Lease | None) -> None:
        """Start feeding the tracker from ``cursor``; as a standby when ``lease`` is None."""
        self._applied = self._applier.applied = cursor
        self._silent_before = cursor.position
        self._fed = min(cursor.replay_from, cursor.position)
        seen = self._journal.last_before(self._fed, snapshots.RECORD_START)
        before = None if seen is None else snapshots.from_record(seen.raw)
        if before is not None:
            self._shift, self._clock_error = clock_shift(before.clock_offset), clock_error(before.clock_offset)
        self._tracker.remember(
            booted_at=None if before is None else before.booted_at,
            hears_hangup_requests=self._journal.last_before(self._fed, HANGUP_REQUEST) is not None,
        )
        self._others_heard_at = handover.heard_until
        self._inherited = Inherited(handover)
        self.lease = lease
        self._begun.set()

    def take_over(self, lease: Lease, handover: Handover) -> None:
        """Become the active listener; ``handover`` is what the database knows."""
        self._promoted = (lease, handover)
        self._wake.set()

    async def compare(self) -> None:
        """As a standby: drop facts the database knows, store the cursor, and apply ended calls that nobody else applied."""
        if not self._begun.is_set() or self.lease is not None or self._promoted is not None:
            return
        pbx, name = self._reporter.pbx, self._journal.name
        fed, horizon = self._fed, self._tracker.horizon()
        await self.forget_told()
        if missing := self._untold.whole_calls(_NOBODY_TELLS):
            log.warning("calls_told_by_standby", pbx=pbx, calls=len({fact.call.linkedid for fact in missing}))
            for some_facts in in_parts(missing, _APPLIED_AT_ONCE):
                await self._sink.add_missing(Batch(pbx, tuple(some_facts), self._applied, name))
        cursor = self._untold.cursor(fed, horizon)
        if cursor != self._applied and self._promoted is None:
            await self._sink.move_cursor(pbx, name, cursor)
            self._applied = self._applier.applied = cursor

    async def forget_told(self) -> None:
        """Drop the kept facts that the database knows."""
        for some in in_parts(sorted(self._untold.linkedids), _ASKED_AT_ONCE):
            self._untold.forget(await self._sink.already_told(self._reporter.pbx, set(some)))

    async def run(self) -> None:
        """Listen and apply until cancelled. Raises LeaseLost when another listener has taken over."""
        self._wake.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._pump())
            group.create_task(self._look_after_journal())

    # from the link to the journal

    async def _listen(self) -> None:
        try:
            async for link in self._connection.links():
                if await self._begin(link):
                    self._hears_since = asyncio.get_running_loop().time()
                    async for frames in link.frames():
                        self._write(frames)
                        if link.last_event_at is not None:
                            self._reporter.last_event_at = link.last_event_at + self._shift  # the PBX's time
                    self._write([(self._clock(), LINK_LOST)])
                self._hears_since = None
        except LoginRefused:
            return  # already reported; what was heard before is still applied

    async def _begin(self, link: Link) -> bool:
        """After a login: take a snapshot while live events wait in the link. False when the link was given up."""
        self._reporter.tell(PbxState.SYNCING, "syncing")
        code, params = "listening", dict[str, str]()
        try:
            offset = await clock_offset(link.send, lambda: self._clock().timestamp())
            asked_at = self._clock() + timedelta(seconds=offset or 0.0)
            seen = replace(await take_snapshot(link.send), asked_at=asked_at, clock_offset=offset)
        except ActionRefused as error:
            code, params = "snapshot_refused", error.params
        except AmiError as error:
            link.give_up(LinkDown("no answer", code="snapshot_failed", why=str(error)))
            return False
        else:
            if seen.asterisk_version is None and offset is None:  # it accepts everything and answers nothing
                link.give_up(LinkDown("not an Asterisk", code="not_asterisk", why="it answers nothing that we ask"))
                return False
            self._reporter.asterisk_version = seen.asterisk_version
            self._write([(self._clock(), seen.to_record())])
        self._reporter.clock_offset = offset
        if offset is not None and abs(offset) > _CLOCK_TOLERANCE:
            code, params = "clock_off", {"seconds": f"{offset:.0f}"}
        self._reporter.tell(PbxState.LISTENING, code, params)
        return True

    def _write(self, frames: Sequence[Frame]) -> None:
        records = self._journal.append(frames)
        if any(RINGING in raw for _, raw in frames) and not self._rings.is_set():
            self._rang_at = asyncio.get_running_loop().time()
            self._rings.set()
        self._check_space()
        if not self._behind:
            self._live.extend(records)
            if len(self._live) > _LIVE_MOST:
                self._live.clear()
                self._behind = True
        self._wake.set()

    def _check_space(self) -> None:
        waiting = self._journal.unwritten_bytes
        if not waiting:
            self._reporter.trouble("journal", None, {})
            return
        try:
            self._journal.flush()
        except JournalFull as error:
            params = {"waiting": str(self._journal.unwritten_bytes), **error.params}
            self._reporter.trouble("journal", "journal_full", params)
        else:
            self._reporter.trouble("journal", None, {})

    async def _look_after_journal(self) -> None:
        """Once per second sync the journal to disk and write what waited for space; prune it once per hour."""
        rounds = 0
        damaged = told = 0
        while True:
            await asyncio.sleep(1.0)
            rounds += 1
            self._check_space()
            try:
                await self._journal.sync()
                if rounds % _PRUNE_EVERY == 1:
                    self._journal.prune(self._applied.replay_from, self._keep, self._clock())
            except OSError as error:
                params = {"folder": str(self._journal.folder), "why": describe(error)}
                self._reporter.trouble("disk", "journal_unusable", params)
            else:
                self._reporter.trouble("disk", None, {})
            if self._journal.damaged > damaged:
                damaged, told = self._journal.damaged, rounds
                folder = str(self._journal.folder)
                self._reporter.trouble("damage", "journal_damaged", {"count": str(damaged), "folder": folder})
            elif rounds - told > _DAMAGE_SHOWN:
                self._reporter.trouble("damage", None, {})

    # from the journal to the database

    async def _pump(self) -> None:
        await self._begun.wait()
        while True:
            await wait_at_most(self._wake, self._patience())
            self._wake.clear()
            await asyncio.sleep(0)  # let the link run even if the database never blocks
            if not self._behind and await wait_at_most(self._rings, _GATHER):
                await asyncio.sleep(max(0.0, self._rang_at + _RINGS_TOGETHER - asyncio.get_running_loop().time()))
            self._rings.clear()
            if self._promoted is not None:
                await self._begin_to_lead(*self._promoted)
            if await (self._round() if self.lease is not None else self._round_of_standby()):
                self._wake.set()

    async def _round_of_standby(self) -> bool:
        """Keep the facts of the ready messages; True while there are more. When memory is full, messages stay in the journal."""
        if self._untold.is_full:
            return False
        for record in self._take():
            horizon = self._tracker.horizon()
            self._untold.add(await self._feed(record), record.position, horizon)
        caught_up = not self._behind and not self._live
        if caught_up:
            horizon = self._tracker.horizon()
            self._untold.add(self._inherited.hear(self._tracker.tick(self._clock() + self._shift)), self._fed, horizon)
        return not caught_up

    async def _begin_to_lead(self, lease: Lease, handover: Handover) -> None:
        """Apply what we heard and the former active listener did not apply; then continue as the active listener."""
        while await self._round_of_standby():
            pass  # a call that is still unread is not missing
        self._inherited = Inherited(handover, self._untold.counted)
        facts = self._inherited.hear(self._untold.take())
        now = self._clock() + self._shift
        if self._hears_since is not None:
            there = {name for call in self._tracker.open_calls() for name in (call.linkedid, *call.channel_ids)}
            if gone := self._inherited.end_missing(there, now):
                facts += await self._gap.bettered(gone, handover.heard_until or now, now, self._clock_error)
        else:
            self._others_heard_at = handover.heard_until  # the next snapshot shows which channels remain
        self.lease, self._promoted = lease, None
        for some in in_parts(facts, _APPLIED_AT_ONCE):
            await self._applier.apply(self._batch(some, self._applied))
        await self._apply([])
        log.info("took_over", pbx=self._reporter.pbx, epoch=lease.epoch, facts=len(facts))

    def _batch(self, facts: Iterable[CallFact], cursor: JournalPosition) -> Batch:
        unapplied = min((fact.at for fact in self._waiting), default=None)
        return Batch(self._reporter.pbx, tuple(facts), cursor, self._journal.name, self.lease, unapplied)

    async def _round(self) -> bool:
        """Feed what is ready and apply its facts; True while there is more.

        A ringing phone is applied at once in its own batch; other facts gather for a moment and are then applied a few at a
        time. Batches before the last one keep the old cursor: after a crash the messages are read again, and facts that
        were already applied change nothing. The cursor moves when no fact waits, or after a second.
        """
        clock = asyncio.get_running_loop().time
        began, waiting = clock(), self._waiting
        received_at, facts = await self._feed_ready()
        while True:
            urgent, rest = rings_first(facts, waiting)
            self._hold(rest)
            caught_up = not self._behind and not self._live
            if caught_up:
                # Only now: a held verdict must first see all messages of its two seconds.
                self._hold(self._inherited.hear(self._tracker.tick(self._clock() + self._shift)))
            if urgent and waiting:
                await self._applier.apply(self._batch(urgent, self._applied))
                urgent = []
            if caught_up and waiting and self._patience() > 0:
                break
            if len(waiting) <= _FEW or clock() - began > _CURSOR_WITHIN:
                last = [*urgent, *waiting]
                waiting.clear()
                await self._apply(last)
                break
            few = [waiting.popleft() for _ in range(max(_FEW, len(waiting) // 2))]  # halve a long queue each time
            await self._applier.apply(self._batch(few, self._applied))
            await asyncio.sleep(0)  # let the link run
            _, facts = await self._feed_ready()
        if caught_up and (received_at is None or self._fed <= self._began):
            self._reporter.lag = 0.0  # also after a gap: the old delay is over
        elif received_at is not None:
            self._reporter.lag = max(0.0, (self._clock() - received_at).total_seconds())
        return not caught_up

    def _hold(self, facts: Iterable[CallFact]) -> None:
        if not self._waiting:
            self._waiting_since = asyncio.get_running_loop().time()
        self._waiting.extend(facts)

    def _patience(self) -> float:
        """Seconds until there is work even without a new message."""
        if not self._waiting or len(self._waiting) > _FEW:
            return _TICK if not self._waiting else 0.0
        return max(0.0, self._waiting_since + _SLOWER - asyncio.get_running_loop().time())

    async def _feed_ready(self) -> tuple[datetime | None, list[CallFact]]:
        """When the oldest ready message was received (None if none), and the facts of all ready messages."""
        records = self._take()
        facts = [fact for record in records for fact in await self._feed(record)]
        return records[0].received_at if records else None, facts

    def _take(self) -> list[JournalRecord]:
        if not self._behind:
            return [self._live.popleft() for _ in range(min(_ROUND, len(self._live)))]
        fresh = self._reader is None
        reader = self._reader = self._reader or self._journal.read(self._fed)
        records: list[JournalRecord] = []
        expected = self._fed
        for record in islice(reader, _ROUND):
            if record.position != expected and not (fresh and not records):
                self._reader = None  # records that waited for space were written after the reader began: read again
                return records
            expected = record.next_position
            records.append(record)
        if fresh and records and records[0].position != self._fed:
            self._tell_lost()
        if len(records) < _ROUND:
            self._reader = None
            if fresh and not records:
                self._tell_lost()
                self._fed = self._journal.end
            self._behind = self._journal.end > (records[-1].next_position if records else self._fed)
        return records

    def _tell_lost(self) -> None:
        """Messages were dropped while the disk was full, before the tracker saw them: reconnect for a new snapshot."""
        lost = self._journal.lost - self._lost_told
        if lost and self._connection.link is not None:
            self._lost_told = self._journal.lost
            self._reporter.tell(PbxState.TROUBLE, "journal_lost", {"count": str(lost)})
            self._connection.link.give_up(LinkDown("messages were lost", code="link_lost", why="to ask again"))

    async def _feed(self, record: JournalRecord) -> list[CallFact]:
        """Feed one record; return its facts, or none if the database knows them already."""
        since, self._heard_at = self._heard_at, record.received_at
        self._fed = record.next_position
        is_of_this_term = record.position >= self._began
        others = None
        if is_of_this_term:
            others, self._others_heard_at = self._others_heard_at, None
        try:
            if snapshots.is_record(record.raw):
                return await self._compare(record, since, others, is_of_this_term=is_of_this_term)
            message, at = in_our_time(parse(record.raw), record.received_at), record.received_at + self._shift
            if not self._heard.note(message, event_time(message, at, at)):
                return []
            facts = self._tracker.feed(message, at, position=record.position)
            facts = self._inherited.hear(facts, of_this_term=is_of_this_term)
        except Exception as error:  # one bad message must not stop the listener
            log.exception("message_not_understood", position=record.position, why=describe(error))
            return []
        return [] if record.position < self._silent_before else facts

    async def _compare(
        self, record: JournalRecord, since: datetime | None, others: datetime | None, *, is_of_this_term: bool
    ) -> list[CallFact]:
        """After a gap: first feed what the PBX recorded meanwhile; then compare with the snapshot.

        A replay finds the same snapshot at the same place, and reads the files only up to its time.
        """
        now = record.received_at
        seen = snapshots.from_record(record.raw, record.position)
        shift = self._shift = clock_shift(seen.clock_offset)
        self._clock_error = clock_error(seen.clock_offset)
        theirs = now + shift  # events have the time of the PBX, so what the snapshot shows has it too
        if others is not None:  # another machine heard it until then, by the PBX's clock
            since = max(since or others - shift, others - shift)
        if since is not None and since > now:
            since = now if is_of_this_term else None  # None: a replay that begins with this snapshot
        told = await self._gap.told(seen, since, now, booted_before=self._tracker.booted_at, shift=shift)
        asked_at = theirs if seen.asked_at is None else seen.asked_at - self._clock_error
        facts = self._inherited.hear_whole(self._fed_from_file(told, record.position, asked_at))
        compared = self._inherited.hear(
            self._tracker.reconcile(seen, theirs, since and since + shift), of_this_term=is_of_this_term
        )
        if is_of_this_term:
            there = {channel.get("Uniqueid", "") for channel in seen.channels}
            compared += self._inherited.end_missing(there, theirs, asked_at)
        if record.position < self._silent_before:
            return []
        if since is None or (told and not any(fact.call.outcome is Outcome.UNKNOWN for fact in compared)):
            return facts + compared
        return facts + await self._gap.bettered(compared, since + shift, theirs, self._clock_error)

    def _fed_from_file(self, told: Sequence[Told], position: int, ends: datetime) -> list[CallFact]:
        self._heard.begin_file(ends)
        facts: list[CallFact] = []
        for at, message in told:
            if self._heard.is_new(message):
                facts += self._tracker.feed(message, at, position=position)
        if facts:
            log.info("gap_recovered", calls=len({fact.call.linkedid for fact in facts}), facts=len(facts))
        return facts

    async def _apply(self, facts: list[CallFact]) -> None:
        position = max(self._fed, self._applied.position)
        horizon = self._tracker.horizon()
        cursor = JournalPosition(position, min(self._fed, position if horizon is None else horizon))
        now = self._clock()
        idle = cursor == self._applied or now - self._applied_at < _CURSOR_EVERY
        if not facts and idle:
            return
        await self._applier.apply(self._batch(facts, cursor))
        self._applied, self._applied_at = cursor, now
