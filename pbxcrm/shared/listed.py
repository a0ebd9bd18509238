"""A part of a list that was looked for: its rows, and where the search goes on if it stopped before it had looked at everything.

A text and an access rule may each fit many rows and together few. Then one request looks through a limited number of rows, newest
first, and the next one goes on there: no search takes longer with more rows, and none ends without saying so.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.alphabet import order_key
from pbxcrm.shared.core_sql import one_of

Model = TypeVar("Model", bound=SQLModel)
Row = TypeVar("Row")
Key = TypeVar("Key")

FIRST, MORE, MOST = 200, 800, 3_000  # candidates that are tested at first, then at once, and in all
MOST_ROWS = 1_800  # the same for rows that are visible through many others, so that each test takes longer
MOST_SORTED = 5_000  # rows that are sorted where no index gives the order of those that match: the newest


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row, Key]):
    """``rows``, and ``resume``: the key of the last row looked at; None where the list is complete or full."""

    rows: list[Row] = field(default_factory=list)
    resume: Key | None = None


@dataclass(frozen=True, slots=True)
class RowPlace:
    """The place of a row in a sorted list. ``value``: by which it is sorted; None stands for none, after all others."""

    value: Any
    row_id: int


@dataclass(frozen=True, slots=True)
class RowOrder:
    """By ``value``, rows without one (``blank``; None: all have one) last, the newest of them first; equal ones by id.

    Those without a value are looked for apart: the databases disagree where NULL stands, and an order that says it uses no index.
    ``filled``: the condition for a value in words that an index helps with, where *not blank* has none.
    """

    value: ColumnElement[Any]
    blank: ColumnElement[bool] | None
    descending: bool = False
    filled: ColumnElement[bool] | None = None

    def of_filled(self, key: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """The order of the rows that have a value, as an index of value and id gives it. ``key``: the column of the id."""
        return (self.value.desc(), key.desc()) if self.descending else (self.value.asc(), key.asc())


def _id_of(table: type[Model]) -> Any:
    return table.id  # type: ignore[attr-defined]  # all have one


def among_newest(table: type[Model], conditions: Sequence[ColumnElement[bool]], most: int) -> ColumnElement[bool]:
    """The condition that a row is one of the newest ``most`` that match."""
    key = _id_of(table)
    newest = select(key).where(*conditions).order_by(key.desc()).limit(most).subquery()
    return col(key).in_(select(newest.c.id))


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
        left = (MOST if most_tested is None else most_tested) - tested
        if left <= 0:
            return Listed(rows, before)
        # To whom nothing is visible here, little of the rest is: it is tested at once.
        most = min(4 * most, MORE) if rows else min(max(left, limit), MORE)


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
    key = _id_of(table)

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


async def in_order(
    session: AsyncSession,
    table: type[Model],
    visible: Sequence[ColumnElement[bool]],
    filters: Sequence[ColumnElement[bool]],
    order: RowOrder,
    *,
    after: RowPlace | None,
    limit: int,
    tested: bool,
) -> Listed[tuple[Model, RowPlace], RowPlace]:
    """The rows behind ``after`` in an order that an index gives, each with its place. ``tested``: ``visible`` is a slow test, which one
    request makes for a limited number of rows.
    """
    key = _id_of(table)
    if not tested:
        return Listed(await sorted_rows(session, table, (*visible, *filters), order, after=after, limit=limit))

    async def candidates(last: RowPlace | None, most: int) -> Sequence[RowPlace]:
        return [place for _id, place in await _sorted(session, key, key, filters, order, last, most)]

    async def passing(some: Sequence[RowPlace]) -> list[tuple[Model, RowPlace]]:
        query = select(table, key).where(one_of(session, key, [place.row_id for place in some]), *visible)
        known = {row_id: row for row, row_id in (await session.exec(query)).all()}
        return [(known[place.row_id], place) for place in some if place.row_id in known]

    return await newest_that_pass(candidates, passing, before=after, limit=limit, most_tested=MOST_ROWS)


async def sorted_rows(
    session: AsyncSession,
    table: type[Model],
    conditions: Sequence[ColumnElement[bool]],
    order: RowOrder,
    *,
    after: RowPlace | None,
    limit: int,
) -> list[tuple[Model, RowPlace]]:
    """The rows behind ``after`` that match, each with its place."""
    key = _id_of(table)
    return await _sorted(session, table, key, conditions, order, after, limit)


async def sorted_by_text(
    session: AsyncSession,
    table: type[Model],
    conditions: Sequence[ColumnElement[bool]],
    text: ColumnElement[str],
    *,
    descending: bool,
    after: RowPlace | None,
    limit: int,
) -> list[tuple[Model, RowPlace]]:
    """The same in the order of the alphabet, by a text whose key is not stored: the newest ``MOST_SORTED`` that match are sorted here."""
    key = _id_of(table)
    asked = select(key, text).where(*conditions).order_by(key.desc()).limit(MOST_SORTED)
    known = [(order_key(told or ""), row_id) for row_id, told in (await session.exec(asked)).all()]
    places = [RowPlace(*place) for place in sorted((each for each in known if each[0]), reverse=descending)]
    places += [RowPlace(None, row_id) for value, row_id in known if not value]  # the newest first
    if after is not None:
        places = [place for place in places if _is_behind(place, after, descending=descending)]
    rows = await session.exec(
        select(table, key).where(one_of(session, key, [place.row_id for place in places[:limit]]))
    )
    by_id = {row_id: row for row, row_id in rows.all()}
    return [(by_id[place.row_id], place) for place in places[:limit] if place.row_id in by_id]


def _is_behind(place: RowPlace, after: RowPlace, *, descending: bool) -> bool:
    if place.value is None:
        return after.value is not None or place.row_id < after.row_id
    if after.value is None:
        return False
    mine, theirs = (place.value, place.row_id), (after.value, after.row_id)
    return mine < theirs if descending else mine > theirs


async def _sorted(
    session: AsyncSession,
    what: Any,
    key: Any,
    conditions: Sequence[ColumnElement[bool]],
    order: RowOrder,
    after: RowPlace | None,
    limit: int,
) -> list[tuple[Any, RowPlace]]:
    """``what`` of each row: the row itself, or a column of it."""
    found: list[tuple[Any, RowPlace]] = []
    value, blank = order.value, order.blank
    if after is None or after.value is not None:
        query = select(what, key, value).where(*conditions).order_by(*order.of_filled(key)).limit(limit)
        if blank is not None:
            query = query.where(~blank if order.filled is None else order.filled)
        if after is not None:
            further = value < after.value if order.descending else value > after.value
            later = key < after.row_id if order.descending else key > after.row_id
            # What follows from the rest: an index begins there, where it would otherwise be read from its beginning.
            not_before = value <= after.value if order.descending else value >= after.value
            query = query.where(not_before, or_(further, and_(value == after.value, later)))
        found = [(each, RowPlace(by_what, row_id)) for each, row_id, by_what in (await session.exec(query)).all()]
    if blank is not None and len(found) < limit:
        without = select(what, key).where(*conditions, blank).order_by(key.desc()).limit(limit - len(found))
        if after is not None and after.value is None:
            without = without.where(key < after.row_id)
        found += [(each, RowPlace(None, row_id)) for each, row_id in (await session.exec(without)).all()]
    return found
