"""What upper contexts may take part in when two clients become one, or two again. ``pbxcrm.composition`` registers who does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pbxcrm.access import Viewer
from pbxcrm.shared.hooks import Hook


class Why(StrEnum):
    """Why an undo leaves something as it is."""

    FIELD = "field"  # ``what`` is a field of the client that says something else by now
    NUMBER_GONE = "number_gone"  # ``what`` is a number or an address that was taken from the client
    EDITED = "edited"  # rows that go back as they are now
    ELSEWHERE = "elsewhere"  # rows that were given to somebody else, or to nobody
    NEW = "new"  # rows that are newer than the merge
    CALLBACK_CLOSED = "callback_closed"  # both callbacks were one, and that one is closed by now


@dataclass(frozen=True, slots=True)
class Left:
    """``what`` is a field, a number, or the table of the rows ``ids``. Whoever shows them asks who may see them."""

    why: Why
    what: str
    ids: tuple[int, ...] = ()

    def stored(self) -> dict[str, Any]:
        """As JSON, for ``load``."""
        return {"why": self.why.value, "what": self.what, "ids": list(self.ids)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """What ``stored()`` gave."""
        return cls(Why(stored["why"]), stored["what"], tuple(stored["ids"]))


@dataclass(frozen=True, slots=True)
class Merging:
    """Before the rows go over. ``numbers`` are those that only the survivor will have. ``kept`` is stored, for the undo."""

    viewer: Viewer
    from_id: int
    into_id: int
    name: str  # of the survivor
    numbers: Sequence[str]
    at: datetime
    kept: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unmerging:
    """Before the rows go back. ``kept`` is what ``Merging.kept`` was; ``left`` gathers what is left as it is."""

    viewer: Viewer
    from_id: int
    into_id: int
    at: datetime
    kept: Mapping[str, Any]
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Relinked:
    """After it: ``rows`` have another client now, ids by ``table.column``. Those who see them must be told."""

    rows: Mapping[str, Sequence[int]]
    at: datetime


contacts_merging = Hook[Merging]("contacts.contacts_merging")
contacts_unmerging = Hook[Unmerging]("contacts.contacts_unmerging")
rows_relinked = Hook[Relinked]("contacts.rows_relinked")
