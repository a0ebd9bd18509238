"""Cursors of lists: one codec for pages and the API. A cursor is opaque to its holder and checked when it comes back.

A cursor grants nothing: rows are filtered as always.
"""

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pbxcrm.contacts.likely_pairs import Alike, PairCursor
from pbxcrm.fields.conditions import Shape, Term
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.listed import RowPlace
from pbxcrm.shared.search_keys import KEY_MAX
from pbxcrm.timeline.entries import EntryKind, TimelineCursor

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = (LATEST - EARLIEST) // _MICROSECOND
LONGEST_CURSOR = 2_000  # letters: it may hold the key of a text by which a list is sorted
_KINDS = tuple(EntryKind)
_RANKS = 9
LONGEST_SORTED = 500  # letters of a text by which a list is sorted
MOST_SORTED_BY = 10**15  # money


def next_of_id(row_id: int | None) -> str:
    """The cursor for the rows after the one with this id."""
    return _packed(row_id)


def read_id(cursor: str) -> int | None:
    """The id of the last row seen; None for a text that is no such cursor."""
    found = _unpacked(cursor, LARGEST_ID)
    return found[0] if found is not None else None


def next_of_time(at: datetime, row_id: int | None) -> str:
    """The cursor for the rows after this one, in a list that is sorted by a time and then by id."""
    return _packed(_microseconds(at), row_id)


def read_time(cursor: str) -> tuple[datetime, int] | None:
    """The sort time and id of the last row seen; None for a text that is no such cursor."""
    found = _unpacked(cursor, _LATEST, LARGEST_ID)
    return (EARLIEST + found[0] * _MICROSECOND, found[1]) if found is not None else None


def next_of_ranked(rank: int, at: datetime, row_id: int | None) -> str:
    """The cursor for the rows after this one, in a list that is sorted by a small rank, then by a time, then by id."""
    return _packed(rank, _microseconds(at), row_id)


def read_ranked(cursor: str) -> tuple[int, datetime, int] | None:
    """The rank, time and id of the last row seen; None for a text that is no such cursor."""
    found = _unpacked(cursor, _RANKS, _LATEST, LARGEST_ID)
    return (found[0], EARLIEST + found[1] * _MICROSECOND, found[2]) if found is not None else None


def next_of_entry(entry: TimelineCursor) -> str:
    """The cursor for the entries after this one in a timeline."""
    return _packed(_microseconds(entry.at), _KINDS.index(entry.kind), entry.id)


def read_entry(cursor: str) -> TimelineCursor | None:
    """The last entry of a timeline that was seen; None for a text that is no such cursor."""
    found = _unpacked(cursor, _LATEST, len(_KINDS) - 1, LARGEST_ID)
    return TimelineCursor(EARLIEST + found[0] * _MICROSECOND, _KINDS[found[1]], found[2]) if found is not None else None


def next_of_pair(place: PairCursor) -> str:
    """The cursor for the pairs after this one in the list of possible duplicates."""
    packed = json.dumps([place.alike.value, place.key, place.low_id, place.high_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def read_pair(cursor: str) -> PairCursor | None:
    """The last pair seen; None for a text that is no such cursor."""
    parts = _parts(cursor)
    if parts is None or len(parts) != 4:
        return None
    alike, key, *ids = parts
    if alike not in set(Alike) or not isinstance(key, str) or len(key) > KEY_MAX or not key.isprintable():
        return None
    return PairCursor(Alike(alike), key, *ids) if all(_is_whole(one, LARGEST_ID) for one in ids) else None


def next_of_sorted(value: datetime | Decimal | int | str | None, row_id: int | None) -> str:
    """The cursor for the rows after this one, in a list that is sorted by a value and then by id; None: those without one."""
    told = value if isinstance(value, int | str) else str(value) if value is not None else None
    packed = json.dumps([told, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def read_sorted(cursor: str, term: Term | None) -> RowPlace | None:
    """The value and id of the last row seen in a list sorted by ``term``; None for a text that is no such cursor."""
    parts = _parts(cursor)
    if parts is None or len(parts) != 2 or not _is_whole(parts[1], LARGEST_ID):
        return None
    told, row_id = parts
    if told is None or term is None:
        return RowPlace(None, row_id)
    value = _sort_value(told, term)
    return RowPlace(value, row_id) if value is not None else None


def _sort_value(told: object, term: Term) -> datetime | Decimal | int | str | None:
    """As the column of the term holds it."""
    of_field = term.name.startswith("field.")
    if term.shape is Shape.INTEGER and (of_field or isinstance(told, int)):
        return told if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 2**63 else None
    if not isinstance(told, str) or "\x00" in told or len(told) > LONGEST_SORTED:
        return None
    try:
        if term.shape is Shape.INTEGER:
            found = Decimal(told)
            return found if found.is_finite() and abs(found) < MOST_SORTED_BY else None
        if term.shape is Shape.MOMENT and not of_field:
            moment = datetime.fromisoformat(told)
            return moment if moment.tzinfo is not None and EARLIEST < moment < LATEST else None
    except (ValueError, InvalidOperation):
        return None
    return told


def _microseconds(at: datetime) -> int:
    return (at - EARLIEST) // _MICROSECOND


def _packed(*parts: int | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _unpacked(cursor: str, *most: int) -> list[int] | None:
    """The whole numbers in a cursor, one for each maximum and each from 0 to its maximum; None otherwise."""
    parts = _parts(cursor)
    if parts is None or len(parts) != len(most):
        return None
    return parts if all(_is_whole(part, largest) for part, largest in zip(parts, most, strict=True)) else None


def _parts(cursor: str) -> list[Any] | None:  # whatever JSON may say
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return parts if isinstance(parts, list) else None


def _is_whole(part: object, most: int) -> bool:
    return isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= most
