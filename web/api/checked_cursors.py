"""Cursors of API lists. An invalid one is refused with 422."""

from datetime import datetime

from pbxcrm.contacts.likely_pairs import PairCursor
from pbxcrm.fields.conditions import Term
from pbxcrm.shared.listed import RowPlace
from web import cursors
from web.api.problems import Wrong
from web.cursors import next_of_id, next_of_pair, next_of_sorted, next_of_time

__all__ = [
    "next_of_id",
    "next_of_pair",
    "next_of_sorted",
    "next_of_time",
    "read_id",
    "read_pair",
    "read_sorted",
    "read_time",
]


def read_id(cursor: str | None) -> int | None:
    """The id of the last row seen; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    found = cursors.read_id(cursor)
    if found is None:
        raise _wrong()
    return found


def read_time(cursor: str | None) -> tuple[datetime, int] | None:
    """The sort time and id of the last row seen; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    found = cursors.read_time(cursor)
    if found is None:
        raise _wrong()
    return found


def read_sorted(cursor: str | None, term: Term) -> RowPlace | None:
    """The place of the last row seen in a list sorted by ``term``; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    found = cursors.read_sorted(cursor, term)
    if found is None:
        raise _wrong()
    return found


def read_pair(cursor: str | None) -> PairCursor | None:
    """The last pair of clients seen; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    found = cursors.read_pair(cursor)
    if found is None:
        raise _wrong()
    return found


def _wrong() -> Wrong:
    return Wrong("api.cursor", "This cursor is not one of ours: leave it away to begin at the beginning.", "cursor")
