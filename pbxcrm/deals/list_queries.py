"""Deals as a list: sorted by a column, page by page, with their number and sum. The board shows the same selection by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, true, union_all
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.board_queries import MOST_FOUND, ColumnFigures
from pbxcrm.deals.filters import DealFilter, ways_to_match
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import MOST_COUNTED, DealRow, as_rows
from pbxcrm.fields.conditions import Shape, Term
from pbxcrm.shared.core_sql import fetch, one_of
from pbxcrm.shared.text_match import is_searchable, up_to

SORTABLE = frozenset({Shape.INTEGER, Shape.TEXT, Shape.DATE, Shape.MOMENT})
MOST_SORTED = 5_000  # deals that are sorted by a column without an index: the newest that match
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class ListSort:
    """The order of a list: by ``term``, deals without a value last; None: the newest first. Equal ones by id."""

    term: Term | None = None
    descending: bool = True

    @property
    def is_capped(self) -> bool:
        """Whether no index gives the order: then only the ``MOST_SORTED`` newest deals are sorted."""
        return self.term is not None and self.term.name != "created_at" and not self.term.name.startswith("field.")


@dataclass(frozen=True, slots=True)
class ListPlace:
    """The place of a deal in a sorted list. ``value``: by which it is sorted; None stands for none, after all others."""

    value: Any
    deal_id: int


@dataclass(frozen=True, slots=True)
class ListSelection:
    """The deals of a list. ``ways``: where so many match the text that they are not collected, how each of them may match it."""

    conditions: Conditions
    ways: Conditions = ()

    @property
    def is_capped(self) -> bool:
        """Whether nobody knows how many there are."""
        return bool(self.ways)


async def select_deals(
    session: AsyncSession, viewer: Viewer, asked: DealFilter, pipeline_id: int | None
) -> ListSelection:
    """The deals that match and that the viewer sees; a text is looked for once. ``pipeline_id`` None: of every pipeline.

    A text of one or two letters, for which there is no index, finds open deals only, as on the board.
    """
    found = [visible_deals(viewer)]
    if pipeline_id is not None:
        found.append(col(Deal.pipeline_id) == pipeline_id)
    text = asked.text.strip()
    if not text:
        return ListSelection([*found, *asked.conditions()])
    if not is_searchable(text):
        return ListSelection([*found, col(Deal.closed_at).is_(None), *asked.conditions()])
    found += asked.without_words(true()).conditions()
    ways = ways_to_match(text)
    some = await up_to(
        session, MOST_FOUND, {f"way{n}": select(col(Deal.id)).where(*found, way) for n, way in enumerate(ways)}
    )
    ids = sorted({each for part in some.values() if part is not None for each in part})
    known = one_of(session, col(Deal.id), ids)
    left = [way for way, part in zip(ways, some.values(), strict=True) if part is None]
    return ListSelection(found, [known, *left]) if left else ListSelection([*found, known])


async def newest(
    session: AsyncSession, among: ListSelection, *, before: int | None, limit: int
) -> list[ColumnElement[bool]]:
    """The conditions for the newest ``limit`` deals of a selection, by id; each way to match is asked for its own newest."""
    if not among.ways:
        return [*among.conditions]
    older = [col(Deal.id) < before] if before is not None else []
    parts = [
        select(col(Deal.id)).where(*among.conditions, *older, way).order_by(col(Deal.id).desc()).limit(limit).subquery()
        for way in among.ways
    ]
    found = await fetch(session, union_all(*(select(part.c.id) for part in parts)))
    ids = sorted({deal_id for (deal_id,) in found}, reverse=True)[:limit]
    return [one_of(session, col(Deal.id), ids)]


async def page_of_deals(
    session: AsyncSession, among: ListSelection, sort: ListSort, *, after: ListPlace | None, limit: int
) -> list[tuple[DealRow, ListPlace]]:
    """The deals after a place in the list, each with its own place."""
    term = sort.term
    if term is None:
        before = after.deal_id if after is not None else None
        conditions = await newest(session, among, before=before, limit=limit)
        query = select(Deal).where(*conditions).order_by(col(Deal.id).desc()).limit(limit)
        if before is not None:
            query = query.where(col(Deal.id) < before)
        deals = list((await session.exec(query)).all())
        return [(row, ListPlace(None, row.deal.id or 0)) for row in await as_rows(session, deals)]
    conditions = await newest(session, among, before=None, limit=MOST_FOUND)
    if sort.is_capped and not among.is_capped:
        last = select(col(Deal.id)).where(*conditions).order_by(col(Deal.id).desc()).limit(MOST_SORTED).subquery()
        conditions = [col(Deal.id).in_(select(last.c.id))]
    found: list[tuple[Deal, Any]] = []
    if after is None or after.value is not None:
        found = await _filled(session, conditions, term, after, limit, descending=sort.descending)
    if len(found) < limit:
        without = select(Deal).where(*conditions, term.is_blank).order_by(col(Deal.id).desc())
        if after is not None and after.value is None:
            without = without.where(col(Deal.id) < after.deal_id)
        rest = await session.exec(without.limit(limit - len(found)))
        found += [(deal, None) for deal in rest.all()]
    rows = await as_rows(session, [deal for deal, _ in found])
    return [(row, ListPlace(value, row.deal.id or 0)) for row, (_, value) in zip(rows, found, strict=True)]


async def _filled(
    session: AsyncSession, conditions: Conditions, term: Term, after: ListPlace | None, limit: int, *, descending: bool
) -> list[tuple[Deal, Any]]:
    """The deals that have a value, in the order of an index where there is one (``fields.terms.order_of_filled``)."""
    value, deal_id = term.sql, col(Deal.id)
    order = (value.desc(), deal_id.desc()) if descending else (value.asc(), deal_id.asc())
    query = select(Deal, value).where(*conditions, ~term.is_blank).order_by(*order).limit(limit)
    if after is not None:
        further = value < after.value if descending else value > after.value
        later = deal_id < after.deal_id if descending else deal_id > after.deal_id
        query = query.where(or_(further, and_(value == after.value, later)))
    return [(deal, each) for deal, each in (await session.exec(query)).all()]


async def list_figures(session: AsyncSession, among: ListSelection) -> ColumnFigures:
    """The number and sum of all that match, up to ``MOST_COUNTED``; of a text that very many match, that they are more than ``MOST_FOUND``."""
    if among.is_capped:
        return ColumnFigures(MOST_FOUND, Decimal(0), 0, has_more=True)
    some = select(col(Deal.amount)).where(*among.conditions).limit(MOST_COUNTED + 1).subquery()
    count, amount = (await session.exec(select(func.count(), func.sum(some.c.amount)).select_from(some))).one()
    more = count > MOST_COUNTED
    return ColumnFigures(min(count, MOST_COUNTED), Decimal(0) if more else amount or Decimal(0), 0, more)


async def all_matching(session: AsyncSession, among: ListSelection, *, limit: int) -> list[tuple[int, int]]:
    """The ids and versions of all that match, newest first, up to ``limit``."""
    conditions = await newest(session, among, before=None, limit=limit)
    found = await session.exec(
        select(Deal.id, Deal.version).where(*conditions).order_by(col(Deal.id).desc()).limit(limit)
    )
    return [(deal_id or 0, version) for deal_id, version in found.all()]
