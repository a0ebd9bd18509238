"""The lamps of deals, which a context above keeps: it registers how to ask for them in SQL."""

from collections.abc import Callable
from typing import Literal

from sqlalchemy import ColumnElement

LampLevel = Literal["none", "first", "second"]
LEVELS: tuple[LampLevel, ...] = ("none", "first", "second")  # by rank

Rank = Callable[[], ColumnElement[int]]
_known: list[Rank] = []


def register_lamps(rank: Rank) -> None:
    """Register the function for ``lamp_rank``; ``pbxcrm.composition`` calls this."""
    _known[:] = [rank]


def lamp_rank() -> ColumnElement[int]:
    """SQL for a row of ``Deal``: 0 without a burning lamp, 1 if one burns, 2 if one has reached a manager."""
    if not _known:
        raise RuntimeError("nobody has composed the parts: nobody knows the lamps of deals (pbxcrm.composition)")
    return _known[0]()
