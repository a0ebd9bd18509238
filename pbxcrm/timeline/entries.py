"""What a timeline consists of: entries of several kinds, and a cursor between two of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import SQLModel

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Stage
from pbxcrm.people.models import User


class EntryKind(StrEnum):
    """Declaration order breaks ties; later members are shown first. ``web/templates/timeline/`` has a partial for each."""

    CALL = "call"
    MOVE = "move"
    CHANGE = "change"
    NOTE = "note"
    TASK = "task"
    FLAG = "flag"
    MERGE = "merge"


RANK = {kind: place for place, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class TimelineCursor:
    """The last entry that was shown."""

    at: datetime
    kind: EntryKind
    id: int


@dataclass(frozen=True, slots=True)
class TimelineQuery:
    """What a reader is asked for: at most ``limit`` entries of a deal, or of a client, that stand below ``after``."""

    viewer: Viewer
    deal_id: int | None
    contact_id: int | None
    after: TimelineCursor | None
    limit: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``row`` is what its kind's reader read; ``by_id`` is None for the product itself."""

    kind: EntryKind
    at: datetime
    id: int
    row: SQLModel
    by_id: int | None
    reason: dict[str, Any]  # the stored reason of an automatic act; empty where there is none
    users: tuple[int | None, ...] = ()  # whom else it names
    stages: tuple[int | None, ...] = ()  # which stages it names

    @property
    def cursor(self) -> TimelineCursor:
        """Where the next part of the list begins."""
        return TimelineCursor(self.at, self.kind, self.id)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A part of a timeline, newest on top, with the people and stages that its entries name."""

    entries: list[Entry]
    stages: dict[int | None, Stage]
    users: dict[int | None, User]
    next: TimelineCursor | None  # where the next part begins
    audible: frozenset[int]  # calls whose recording may be heard
