"""The facts of calls: the only interface between the tracker and the business side.

``ami.tracker`` produces these values, ``pbxcrm.reactions.apply_facts`` applies them. They are plain, frozen and complete:
each fact carries the whole call as known at that moment, so the result is right even if a fact is applied twice or an
earlier one was lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pbxcrm.pbx.state import JournalPosition, Lease


class Direction(StrEnum):
    """Who called whom, as seen from the office."""

    INBOUND = "inbound"  # the client called
    OUTBOUND = "outbound"  # we called the client
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a call ended; ``missed`` is for inbound calls only, ``no_answer`` for outbound ones."""

    OPEN = "open"  # the call is not over
    ANSWERED = "answered"
    MISSED = "missed"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    NOT_DIALLED = "not_dialled"  # click-to-call: our own phone did not answer, so the client was not called
    INTERRUPTED = "interrupted"  # the PBX stopped before anybody could answer; nobody's fault
    UNKNOWN = "unknown"  # ended while nobody was listening, and the PBX's records do not tell how


class MissedReason(StrEnum):
    """Why nobody answered an inbound call."""

    ABANDONED_RINGING = "abandoned_ringing"
    ABANDONED_IN_QUEUE = "abandoned_in_queue"
    ABANDONED_IN_IVR = "abandoned_in_ivr"
    TIMEOUT = "timeout"
    BUSY = "busy"
    NO_AGENTS = "no_agents"
    UNREACHABLE = "unreachable"
    CLOSED_HOURS = "closed_hours"
    SHORT = "short"


class TransferKind(StrEnum):
    """Whether the transferring person talked to the target first (attended) or not (blind)."""

    BLIND = "blind"
    ATTENDED = "attended"


class LegResult(StrEnum):
    """How a leg ended, or its present state (``dialled``, ``ringing``, ``talking``)."""

    DIALLED = "dialled"  # being called, not ringing yet
    RINGING = "ringing"
    TALKING = "talking"
    TALKED = "talked"
    ELSEWHERE = "elsewhere"  # a colleague answered first
    CANCELLED = "cancelled"  # the caller gave up
    NO_ANSWER = "no_answer"  # it rang until its timeout
    BUSY = "busy"
    FORWARDED = "forwarded"
    FAILED = "failed"


class FactKind(StrEnum):
    """What happened in a call. The comment on each kind says what the fact's ``party`` is; else it is empty."""

    OPENED = "opened"  # the call exists
    RINGING = "ringing"  # party = extension whose phone began to ring
    SILENCED = "silenced"  # party = extension whose phone stopped ringing without answering
    JOINED = "joined"  # party = extension that is now talking
    LEFT = "left"  # party = extension that stopped talking while the call continues
    QUEUED = "queued"  # party = queue the caller entered
    TRANSFERRED = "transferred"  # party = "from>to"
    UPDATED = "updated"  # another change: number, recording …; or party = extension that hung up late
    ENDED = "ended"  # the verdict
    ABSORBED = "absorbed"  # party = linkedid of the call that absorbed this one


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that reached somebody. ``source`` and ``target`` are extensions."""

    source: str
    target: str
    kind: TransferKind


@dataclass(frozen=True, slots=True)
class Leg:
    """One phone's part in the call: one extension, one attempt (each retry of a queue is a separate leg)."""

    channel_id: str  # Asterisk's Uniqueid of the channel
    extension: str
    dialled_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None  # when its first talk with the other side began, not when it was picked up
    ended_at: datetime | None
    result: LegResult
    cause: int | None = None  # Q.850 hang-up cause, a hint only
    dialled_name: str = ""  # of an outside line that was dialled by its name alone, as telephones are: that name


@dataclass(frozen=True, slots=True)
class CallState:
    """A call as known now. All times are aware UTC; extensions are strings of digits."""

    pbx: str
    linkedid: str  # Linkedid of the call's first channel; it never changes
    direction: Direction
    outcome: Outcome
    missed_reason: MissedReason | None
    client_heard: str | None  # the client's number exactly as the PBX said it; None when withheld or internal
    client_name: str | None  # as the PBX said it: hostile input
    withheld: bool  # the caller asked not to show the number
    trunk: str | None  # endpoint of the client's channel
    did: str | None  # inbound: the number the client dialled
    dialled: str | None  # outbound and internal: what our phone dialled
    queue: str | None
    made_by: str | None
    rang: tuple[str, ...]
    answered_by: str | None
    talked: tuple[str, ...]
    transfers: tuple[Transfer, ...]
    legs: tuple[Leg, ...]
    ringing: tuple[str, ...]  # extensions ringing now
    talking: tuple[str, ...]  # extensions talking now
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    click_to_call: bool
    channel_ids: tuple[str, ...]  # every Uniqueid of the call, to find recordings and CDR/CEL rows
    recording: str | None = None  # file name told by UserEvent PbxcrmRecording, relative to the recordings folder
    closed_hours: bool = False  # the dialplan said so with UserEvent PbxcrmClosed
    outside: tuple[Leg, ...] = ()  # outside lines that were dialled; ``extension`` is the number each was given

    @property
    def was_answered(self) -> bool:
        """Whether one of our phones, or an outside number that answered for us (a mobile), talked to the other side."""
        return self.answered_at is not None or self.outcome is Outcome.ANSWERED

    @property
    def wait_seconds(self) -> float | None:
        """Seconds from the start until the first talk, or until the end if nobody talked; None while waiting."""
        until = self.answered_at or self.ended_at
        return None if until is None else max(0.0, (until - self.started_at).total_seconds())

    @property
    def talk_seconds(self) -> float:
        """Seconds from the first talk to the end of the call; 0 if nobody talked or the call is in progress."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, (self.ended_at - self.answered_at).total_seconds())


@dataclass(frozen=True, slots=True)
class CallFact:
    """One event of a call, with the call's state right after it.

    ``ordinal`` counts facts of the same kind and party within the call from 1, so that the same messages give the same
    ``key`` in every listener and every replay.
    """

    kind: FactKind
    party: str
    ordinal: int
    at: datetime
    call: CallState

    @property
    def key(self) -> str:
        """Kind, party and ordinal; unique within the call, and the same in every replay."""
        return f"{self.kind}:{self.party}#{self.ordinal}"


@dataclass(frozen=True, slots=True)
class Handover:
    """What the database knows of a PBX when a listener takes over; an earlier listener may have written another journal.

    Everything heard before ``heard_until`` has been applied.
    """

    heard_until: datetime | None = None
    open_calls: tuple[CallState, ...] = ()
    told: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """For these calls: (linkedid, kind, party) → number of facts."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Facts to apply in one transaction, with the position after them in the journal they were read from.

    Without a ``lease`` none is checked (replays, tests, calls added by a standby). ``unapplied_from``: facts from this time on
    may come in a later batch.
    """

    pbx: str
    facts: tuple[CallFact, ...]
    cursor: JournalPosition
    journal: str = ""
    lease: Lease | None = None
    unapplied_from: datetime | None = None

    @property
    def heard_until(self) -> datetime | None:
        """The time up to which everything is applied with this batch; None if it has no facts."""
        latest = max((fact.at for fact in self.facts), default=None)
        if latest is None or self.unapplied_from is None:
            return latest
        return min(latest, self.unapplied_from)


@dataclass(frozen=True, slots=True)
class ToldCall:
    """What the database knows of a call: the keys of its facts, and whether it is over.

    ``is_unknown``: it is over with the outcome *unknown*, so a better ending may still replace it.
    """

    is_over: bool
    keys: frozenset[str]
    is_unknown: bool = False
