"""The data of a timeline: entries of several kinds, and the cursor for paging."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import SQLModel

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Stage
from pbxcrm.fields.queries import FieldSet, Named
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User


class EntryKind(StrEnum):
    """Among entries of the same time, kinds declared later are shown first. Each kind has a partial in ``web/templates/timeline/``."""

    CALL = "call"
    MOVE = "move"
    CHANGE = "change"
    NOTE = "note"
    TASK = "task"
    FLAG = "flag"
    MERGE = "merge"
    FILE = "file"
    REQUEST = "request"
    RUN = "run"
    MESSAGE = "message"


RANK = {kind: place for place, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class TimelineCursor:
    """The last entry that was shown."""

    at: datetime
    kind: EntryKind
    id: int


@dataclass(frozen=True, slots=True)
class TimelineQuery:
    """The request to a reader: at most ``limit`` entries of a deal, or of a client, that are older than ``after``.

    ``with_merged``: the ids of the deal and of all deals that are merged into it; empty for a client.
    """

    viewer: Viewer
    deal_id: int | None
    contact_id: int | None
    after: TimelineCursor | None
    limit: int
    with_merged: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. ``row`` is the row that the reader of its kind loaded; ``by_id`` is None for the product itself."""

    kind: EntryKind
    at: datetime
    id: int
    row: SQLModel
    by_id: int | None
    reason: dict[str, Any]  # the stored reason of an automatic change; empty where there is none
    users: tuple[int | None, ...] = ()  # other people to load for showing it
    stages: tuple[int | None, ...] = ()  # stages to load for showing it
    more: Any = None  # what else its partial shows, as the reader of its kind loaded it

    @property
    def cursor(self) -> TimelineCursor:
        """The cursor to continue the list after this entry."""
        return TimelineCursor(self.at, self.kind, self.id)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of a timeline, newest first, with the people and stages that its entries refer to."""

    entries: list[Entry]
    stages: dict[int | None, Stage]
    users: dict[int | None, User]
    next: TimelineCursor | None  # None on the last page
    audible: frozenset[int]  # ids of calls whose recording the viewer may hear
    fields: FieldSet  # of which changes are shown
    named: Named  # what changed values of fields point to
    people: Directory  # whom notes may name
