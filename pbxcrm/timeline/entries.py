"""What a timeline consists of: entries of several kinds, and a cursor between two of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Note, Stage, StageMove
from pbxcrm.people.models import User
from pbxcrm.tasks.models import Task


class EntryKind(StrEnum):
    """Declaration order breaks ties; later members are shown first."""

    CALL = "call"
    MOVE = "move"
    CHANGE = "change"
    NOTE = "note"
    TASK = "task"


RANK = {kind: place for place, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. Exactly one of ``call move note task change`` is set; ``by`` is None for the product itself."""

    kind: EntryKind
    at: datetime
    id: int
    by: User | None = None
    call: Call | None = None
    move: StageMove | None = None
    note: Note | None = None
    task: Task | None = None
    change: AuditEntry | None = None

    @property
    def reason(self) -> dict[str, Any]:
        """The stored reason of an automatic act; empty where there is none."""
        told = self.call or self.move or self.task or self.change
        return told.reason if told is not None else {}

    @property
    def cursor(self) -> str:
        """Where the next part of the list begins, for ``TimelineCursor.parse``."""
        return f"{self.at.timestamp()!r}_{self.kind.value}_{self.id}"


@dataclass(frozen=True, slots=True)
class Timeline:
    entries: list[Entry]
    stages: dict[int, Stage]
    users: dict[int, User]
    next: str | None  # cursor of the next part
    audible: frozenset[int]  # calls whose recording may be heard


@dataclass(frozen=True, slots=True)
class TimelineCursor:
    at: datetime
    kind: EntryKind
    id: int

    @classmethod
    def parse(cls, text: str, like: datetime) -> "TimelineCursor | None":
        """The place that ``Entry.cursor`` named; None for anything else."""
        try:
            at, kind, entry_id = text.split("_")
            moment = datetime.fromtimestamp(float(at), like.tzinfo)
            if not 1970 <= moment.year <= 2200 or not (entry_id.isdecimal() and len(entry_id) <= 18):
                return None
            return cls(moment, EntryKind(kind), int(entry_id))
        except (ValueError, OverflowError, OSError):
            return None
