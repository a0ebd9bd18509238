"""Recovers calls that ended while nobody listened, from Asterisk's own files.

CEL (better) or CDR rows are turned into the AMI events they stand for, and the same tracker reads them. What the files
do not prove stays unknown; nothing is guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from ami import cdr, cel, cel_translation
from ami.cel_translation import Told
from ami.messages import Message
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, CallState, FactKind, Leg, Outcome

log = structlog.get_logger(__name__)

_MARGIN = timedelta(seconds=30)  # largest difference between the clocks of PBX and listener
_ENDS = frozenset({"APP_END", "HANGUP", "CHAN_END"})
SETTLES = timedelta(seconds=0.6)  # Asterisk writes all rows of one event within this time


class JudgingTracker(Protocol):
    """The part of ``ami.tracker.Tracker`` that a finished call needs."""

    def feed(
        self, message: Message, received_at: datetime | None = None, *, position: int | None = None
    ) -> list[CallFact]:
        """Take one message, in order; return its facts."""

    def close(self) -> list[CallFact]:
        """The stream has ended: the facts of the held verdicts. Calls in progress stay open."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Corrects the facts of a reconciliation. Both files are optional; ``make_tracker`` makes an empty tracker."""

    make_tracker: Callable[[], JudgingTracker]
    cel_csv: Path | None = None
    cdr_csv: Path | None = None

    def __call__(
        self, facts: Sequence[CallFact], since: datetime, until: datetime, clock_error: timedelta = timedelta(0)
    ) -> list[CallFact]:
        """``facts`` with unknown endings replaced from the files, then the calls of the gap that nobody saw.

        ``since``: when the last event before the gap happened; ``until``: when the snapshot was taken: later calls are heard.
        Each call is its ``ended`` fact with the usual key, so a call that is already known does not change.
        ``clock_error``: by how much the times of the files differ from those of events.
        """
        found = self._ended(clock_error)
        by_channel = {channel: fact for fact in found for channel in fact.call.channel_ids}
        used: set[str] = set()
        bettered = []
        for fact in facts:
            better = next((by_channel[c] for c in fact.call.channel_ids if c in by_channel), None)
            used |= set(fact.call.channel_ids)
            bettered.append(_merged(fact, better.call) if better and _is_unknown(fact) else fact)
        begin = since - _MARGIN
        in_gap = [f for f in found if f.call.started_at <= until and begin <= (f.call.ended_at or f.at)]
        unseen = [fact for fact in in_gap if not used & set(fact.call.channel_ids)]
        if in_gap:
            log.info("gap_recovered", since=since.isoformat(), known=len(in_gap) - len(unseen), unseen=len(unseen))
        return bettered + unseen

    def missed(
        self, snapshot: Snapshot, since: datetime | None, until: datetime, *, restarted: bool = False
    ) -> list[Told]:
        """The events from CEL, from their beginning, of calls that had rows after ``since`` or are in ``snapshot``.

        ``since`` and ``until`` (when the snapshot was received) are times of events, as the results are.
        Events after the request for the snapshot are left out, because they are heard live. Rows of the moment after it only
        explain earlier events: why a leg ended, whether a phone was offered the call. Empty without a CEL file.
        ``restarted``: the PBX was restarted since it was last heard.
        """
        asked_at = snapshot.asked_at or until
        rows, there = self._rows(), {channel.get("Uniqueid", ""): channel for channel in snapshot.channels}
        known = {id(row) for row in cel.known_by(rows, asked_at, there)}
        shift = _clock_error(asked_at, until)
        begin = None if since is None else since - _MARGIN + shift

        def matters(call: Sequence[cel.Row]) -> bool:
            if any(row.unique_id in there for row in call):
                return True
            return begin is not None and any(id(row) in known and row.at >= begin for row in call)

        rows = [row for row in rows if id(row) in known or row.at <= asked_at + SETTLES]
        wanted = {id(row) for call in cel.calls(rows) if matters(call) for row in call}
        heard_until = None if since is None else since + shift
        rows = [row for row in rows if id(row) in wanted]
        told = cel_translation.messages(rows, known, there, restarted, heard_until)
        found = [(at - shift, message) for at, message in told]
        if restarted and found and found[-1][1] == cel_translation.SHUTDOWN and since is not None:
            found[-1] = max(found[-1][0], since), cel_translation.SHUTDOWN  # we heard it after its last row
        return found

    def is_unsettled(self, snapshot: Snapshot, until: datetime) -> bool:
        """Whether the file lacks a channel of the snapshot, or has an end just before it, whose other rows may come
        a moment later.
        """
        asked_at = snapshot.asked_at or until
        rows = self._rows()
        if not rows:
            return False
        unknown = {channel.get("Uniqueid", "") for channel in snapshot.channels} - {row.unique_id for row in rows}
        return bool(unknown) or any(row.at > asked_at - SETTLES and row.event in _ENDS for row in rows)

    def _rows(self) -> list[cel.Row]:
        if self.cel_csv is None:
            return []
        try:
            return cel.read(self.cel_csv)
        except OSError as error:
            log.warning("gap_file_unreadable", file=str(self.cel_csv), why=error.strerror)
            return []

    def _ended(self, clock_error: timedelta) -> list[CallFact]:
        """All endings from CEL, or from CDR if there is no CEL file."""
        for path, judge in ((self.cel_csv, self._by_cel), (self.cdr_csv, self._by_cdr)):
            if path is None:
                continue
            try:
                return list(judge(path, clock_error))
            except OSError as error:
                log.warning("gap_file_unreadable", file=str(path), why=error.strerror)
        return []

    def _by_cel(self, path: Path, clock_error: timedelta) -> Iterator[CallFact]:
        for call in cel.calls(cel.read(path)):
            if cel.is_over(call):
                yield from self._judge(cel_translation.messages(call), clock_error)

    def _by_cdr(self, path: Path, clock_error: timedelta) -> Iterator[CallFact]:
        for call in cdr.calls(cdr.read(path)):
            if cdr.is_certain(call):
                yield from self._judge(cdr.messages(call), clock_error)

    def _judge(self, messages: Iterable[tuple[datetime, Message]], clock_error: timedelta) -> list[CallFact]:
        tracker = self.make_tracker()
        facts = [fact for at, message in messages for fact in tracker.feed(message, at - clock_error)]
        facts += tracker.close()
        return [fact for fact in facts if fact.kind is FactKind.ENDED]


def _clock_error(asked_at: datetime, until: datetime) -> timedelta:
    """The error of the PBX's clock, or 0 if it is within the margin; a snapshot takes only seconds."""
    error = asked_at - until
    return error if abs(error) > _MARGIN else timedelta(0)


def _is_unknown(fact: CallFact) -> bool:
    return fact.kind is FactKind.ENDED and fact.call.outcome is Outcome.UNKNOWN


def _merged(fact: CallFact, found: CallState) -> CallFact:
    """The ending from the file, plus what only we heard: who rang, the queue, the recording."""
    known = fact.call
    call = replace(
        found,
        linkedid=known.linkedid,
        client_heard=known.client_heard or found.client_heard,
        client_name=known.client_name or found.client_name,
        withheld=known.withheld,
        did=known.did or found.did,
        queue=known.queue or found.queue,
        legs=_merged_legs(known.legs, found.legs),
        rang=known.rang + tuple(phone for phone in found.rang if phone not in known.rang),
        started_at=min(known.started_at, found.started_at),
        click_to_call=known.click_to_call or found.click_to_call,
        channel_ids=known.channel_ids + tuple(c for c in found.channel_ids if c not in known.channel_ids),
        recording=known.recording or found.recording,
        closed_hours=known.closed_hours or found.closed_hours,
    )
    return replace(fact, at=call.ended_at or fact.at, call=call)


def _merged_legs(known: Sequence[Leg], found: Sequence[Leg]) -> tuple[Leg, ...]:
    """The legs from the file under the channel ids we know: CDR holds no Uniqueid of a dialled phone.

    Legs that the file lacks are kept: they are over too, and nobody would end a leg that is left out.
    """
    told = {leg.channel_id for leg in found}
    untold = [leg for leg in known if leg.channel_id not in told]
    of_channels = {leg.channel_id for leg in known}
    merged = []
    for leg in found:
        same = next((one for one in untold if one.extension == leg.extension), None)
        if same is None or leg.channel_id in of_channels:
            merged.append(leg)
        else:
            untold.remove(same)
            merged.append(replace(leg, channel_id=same.channel_id))
    return (*merged, *untold)
