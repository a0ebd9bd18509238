"""How rows of a lower context are visible through rows of upper ones: clients through deals, tasks and calls.

The lower context asks its ``WaysToSee``; ``pbxcrm.composition`` registers the ways of the upper contexts. Before that it raises:
a rule with missing ways would hide rows in one process and show them in another.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.shared.db import DATABASE

LITTLE = 2000  # rows; up to this many count as few
REMEMBERED = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class SeenThrough:
    """One way. ``one``: SQL condition that the row is visible this way; ``ids``: query for the ids of all such rows.

    ``few``: the rows it goes through, to see whether they are few. ``owners``: whose the rows are through which these rows (their ids) are seen; None among them is nobody's.
    ``edits``: whether the row at hand may be changed by whoever sees it this way; None: it may not.
    """

    one: Callable[[Viewer], ColumnElement[bool]]
    ids: Callable[[Viewer], Select[Any]]
    few: Callable[[Viewer], tuple[Select[Any], ...]]
    owners: Callable[[Any], Select[Any]]
    edits: Callable[[Viewer], ColumnElement[bool]] | None = None


class WaysToSee:
    """The ways in which rows of a context are visible through upper contexts; registered in ``pbxcrm.composition``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ways: tuple[SeenThrough, ...] | None = None

    def register(self, *ways: SeenThrough) -> None:
        """Set all ways; a second call replaces them."""
        self._ways = ways

    @property
    def all(self) -> tuple[SeenThrough, ...]:
        """The registered ways. Raises RuntimeError before ``compose()`` was called."""
        if self._ways is None:
            raise RuntimeError(f"nobody has composed the parts: {self.name} has no ways (pbxcrm.composition)")
        return self._ways


async def are_few(
    session: AsyncSession, rows: str, viewer: Viewer, queries: Callable[[], Iterable[Select[Any]]]
) -> bool:
    """Whether each of the ``queries`` (for ``rows``, such as calls) gives at most ``LITTLE`` ids, so that it is faster to collect them first.

    Otherwise a list is read from its newest row until fifty visible rows are found: fast for a viewer who sees every third
    row, a scan of the whole table for somebody new. The answer decides only how a list is read, never what is in it, so that it is
    asked once in ``REMEMBERED`` seconds: counting takes longer than many a list.
    """
    kept, at = session.info[DATABASE].kept, asyncio.get_running_loop().time()
    key = (
        "few",
        LITTLE,
        rows,
        viewer.user_id,
        viewer.role,
        viewer.team_id,
        viewer.managed_team_ids,
        viewer.stands_in_for,
    )
    known = kept.get(key)
    if known is None or at - known[0] > REMEMBERED:
        counts = union_all(*(select(func.count()).select_from(each.limit(LITTLE + 1).subquery()) for each in queries()))
        found = (await session.exec(counts)).all()  # type: ignore[call-overload]
        known = kept[key] = at, all(count <= LITTLE for (count,) in found)
    return bool(known[1])
