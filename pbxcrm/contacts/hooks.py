"""Hooks for upper contexts when clients are merged or erased, or a merge is undone. ``pbxcrm.composition`` registers the functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pbxcrm.access import Viewer
from pbxcrm.shared.hooks import Hook
from pbxcrm.shared.relinking import Since


class Why(StrEnum):
    """Why an undo does not restore something."""

    FIELD = "field"  # ``what`` is a field of the client that has changed since
    NUMBER_GONE = "number_gone"  # ``what`` is a number or an address that was removed from the client
    EDITED = "edited"  # rows that are given back with their later edits
    ELSEWHERE = "elsewhere"  # rows that were reassigned to another client or to none
    NEW = "new"  # rows newer than the merge
    CALLBACK_CLOSED = "callback_closed"  # the two callbacks were joined, and the joined one is closed


@dataclass(frozen=True, slots=True)
class Left:
    """Something an undo does not restore. ``what``: a field, a number, or the table of the rows ``ids``, whose visibility is
    not checked here.
    """

    why: Why
    what: str
    ids: tuple[int, ...] = ()

    def stored(self) -> dict[str, Any]:
        """The value as JSON, for ``load``."""
        return {"why": self.why.value, "what": self.what, "ids": list(self.ids)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Read the result of ``stored()``."""
        return cls(Why(stored["why"]), stored["what"], tuple(stored["ids"]))


def left_since(found: Iterable[Since]) -> list[Left]:
    """The rows that an undo leaves as they are, of each link."""
    left: list[Left] = []
    for each in found:
        of = {Why.EDITED: each.edited, Why.ELSEWHERE: each.elsewhere, Why.NEW: each.newer}
        left += [Left(why, each.link.table.name, ids) for why, ids in of.items() if ids]
    return left


@dataclass(frozen=True, slots=True)
class Merging:
    """Called before rows move. ``numbers``: those only the survivor will have. ``kept``: to be filled; stored for the undo."""

    viewer: Viewer
    from_id: int
    into_id: int
    name: str  # of the survivor
    numbers: Sequence[str]
    at: datetime
    kept: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unmerging:
    """Called before rows move back. ``kept`` is from ``Merging.kept``; ``left`` collects what is not restored."""

    viewer: Viewer
    from_id: int
    into_id: int
    at: datetime
    kept: Mapping[str, Any]
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Relinked:
    """Called after rows moved: ids by ``table.column``. Those who see the rows must be notified. ``asked``: a person saw what would
    stand side by side afterwards, or takes a merge back; if not, whoever has such rows is told.
    """

    rows: Mapping[str, Sequence[int]]
    at: datetime
    asked: bool


GONE = "—"  # stands where a name or another word about an erased client was


@dataclass(frozen=True, slots=True)
class Held:
    """Ids of the rows about a client. ``contacts``: the client and everybody merged into them; ``numbers``, ``addresses``: those that
    no other client has, in the form in which rows have them.
    """

    contacts: list[int]
    numbers: list[str]
    addresses: list[str]
    deals: list[int]
    calls: list[int]
    tasks: list[int]
    notes: list[int]
    callbacks: list[int]
    requests: list[int]
    files: list[int]


@dataclass(frozen=True, slots=True)
class Erasing:
    """A client is erased. Each context takes the client out of its own rows of ``held``, and out of all others that refer to the
    client, and notifies those who see them. What stood there as a reason becomes ``why``, another word ``GONE``.
    """

    held: Held
    why: Mapping[str, Any]  # a stored Reason
    at: datetime


contacts_merging = Hook[Merging]("contacts.contacts_merging")
contacts_unmerging = Hook[Unmerging]("contacts.contacts_unmerging")
rows_relinked = Hook[Relinked]("contacts.rows_relinked")
#: Called by ``pbxcrm.privacy``. Upper contexts come before those that their audiences ask: clients last.
contact_erasing = Hook[Erasing]("contacts.contact_erasing")
