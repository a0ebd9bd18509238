"""How rows of a lower context are seen through those of upper ones: clients through deals, tasks and calls.

The lower context asks its ``WaysToSee``; the upper ones say how, and ``pbxcrm.composition`` puts them in. Not filled it raises:
a rule that forgot half of its ways would hide rows in one process and show them in another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer

LITTLE = 2000  # rows of a kind


@dataclass(frozen=True, slots=True)
class Way:
    """``one``: whether the row at hand is seen this way; ``ids``: the ids of all that are (with ``little``: gathered from few).

    ``few``: the rows it goes through, to see whether they are few. ``owners``: whose the rows are through which these rows (their ids) are seen; None among them is nobody's.
    ``edits``: whoever sees it this way may change it.
    """

    one: Callable[[Viewer], ColumnElement[bool]]
    ids: Callable[[Viewer], Select[Any]]
    few: Callable[[Viewer], tuple[Select[Any], ...]]
    owners: Callable[[Any], Select[Any]]
    edits: bool = False


class WaysToSee:
    """Conditions by which rows are seen through rows of upper contexts; registered in ``pbxcrm.composition``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ways: tuple[Way, ...] | None = None

    def register(self, *ways: Way) -> None:
        """Set the ways, all of them at once."""
        self._ways = ways

    @property
    def all(self) -> tuple[Way, ...]:
        """The registered ways. Raises RuntimeError before ``compose()`` was called."""
        if self._ways is None:
            raise RuntimeError(f"nobody has composed the parts: {self.name} has no ways (pbxcrm.composition)")
        return self._ways


async def are_few(session: AsyncSession, *queries: Select[Any]) -> bool:
    """Whether each of them gives so few rows that they are best gathered first.

    A list of the latest fifty is otherwise read from its latest end until fifty are found that one may see: quick for whoever
    sees every third row, a walk through all of them for somebody new.
    """
    counts = union_all(*(select(func.count()).select_from(query.limit(LITTLE + 1).subquery()) for query in queries))
    return all(count <= LITTLE for (count,) in (await session.exec(counts)).all())  # type: ignore[call-overload]
