"""A part of a list that was looked for: its rows, and where the search goes on if it stopped before it had looked at everything.

A text and an access rule may each fit many rows and together few. Then one request looks through a limited number of rows, newest
first, and the next one goes on there: no search takes longer with more rows, and none ends without saying so.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.core_sql import one_of

Model = TypeVar("Model", bound=SQLModel)
Row = TypeVar("Row")
Key = TypeVar("Key")

FIRST, MORE, MOST = 200, 800, 3_000  # candidates that are tested at first, then at once, and in all
MOST_ROWS = 1_800  # the same for rows that are visible through many others, so that each test takes longer


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row, Key]):
    """``rows``, and ``resume``: the key of the last row looked at; None where the list is complete or full."""

    rows: list[Row] = field(default_factory=list)
    resume: Key | None = None


async def newest_that_pass(
    candidates: Callable[[Key | None, int], Awaitable[Sequence[Key]]],
    passing: Callable[[Sequence[Key]], Awaitable[list[Row]]],
    *,
    before: Key | None,
    limit: int,
    most_tested: int | None = None,
    first: int | None = None,
) -> Listed[Row, Key]:
    """The first ``limit`` rows that pass, of candidates that are tested part by part.

    ``candidates(before, most)`` returns the keys behind ``before`` in the order of the list; ``passing(keys)`` the rows of those that
    pass, in the same order.
    """
    rows: list[Row] = []
    tested, most = 0, max(FIRST if first is None else first, limit)
    while True:
        keys = await candidates(before, most)
        rows += await passing(keys) if keys else []
        tested += len(keys)
        if len(rows) >= limit:
            return Listed(rows[:limit])
        if len(keys) < most:
            return Listed(rows)
        before = keys[-1]
        if tested >= (MOST if most_tested is None else most_tested):
            return Listed(rows, before)
        most = min(4 * most, MORE)


async def newest_visible(
    session: AsyncSession,
    table: type[Model],
    visible: Sequence[ColumnElement[bool]],
    filters: Sequence[ColumnElement[bool]],
    ids: Sequence[int] | None,
    *,
    before: int | None,
    limit: int,
) -> Listed[Model, int]:
    """The newest rows by id that match ``filters`` and pass the slower test ``visible``. ``ids``: all that can match, newest first."""
    key: Any = table.id  # type: ignore[attr-defined]  # all have one

    async def candidates(last: int | None, most: int) -> Sequence[int]:
        if ids is not None:
            begin = 0 if last is None else bisect_left(ids, -last + 1, key=lambda row_id: -row_id)
            return ids[begin : begin + most]
        query = select(key).where(*filters)
        if last is not None:
            query = query.where(col(key) < last)
        return (await session.exec(query.order_by(col(key).desc()).limit(most))).all()

    async def passing(some: Sequence[int]) -> list[Model]:
        query = select(table).where(one_of(session, key, some), *filters, *visible).order_by(col(key).desc())
        return list((await session.exec(query)).all())

    return await newest_that_pass(candidates, passing, before=before, limit=limit, most_tested=MOST_ROWS)
