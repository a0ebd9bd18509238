"""The lamps of deals, which a context above keeps: it registers how to ask for them in SQL."""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select

LampLevel = Literal["none", "first", "second"]
LEVELS: tuple[LampLevel, ...] = ("none", "first", "second")  # by rank

Rank = Callable[[], ColumnElement[int]]
Burning = Callable[[], Select[Any]]
_known: list[tuple[Rank, Burning]] = []


def register_lamps(rank: Rank, burning: Burning) -> None:
    """Register the functions for ``lamp_rank`` and ``burning_deals``; ``pbxcrm.composition`` calls this."""
    _known[:] = [(rank, burning)]


def lamp_rank() -> ColumnElement[int]:
    """SQL for a row of ``Deal``: 0 without a burning lamp, 1 if one burns, 2 if one has reached a manager."""
    return _lamps()[0]()


def burning_deals() -> Select[Any]:
    """Query for the ids of the deals on which a lamp burns: few of all."""
    return _lamps()[1]()


def _lamps() -> tuple[Rank, Burning]:
    if not _known:
        raise RuntimeError("nobody has composed the parts: nobody knows the lamps of deals (pbxcrm.composition)")
    return _known[0]
