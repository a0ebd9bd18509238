"""Deals as a list: sorted by a column, page by page, with their number and sum. The board shows the same selection by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import ColumnElement, func, true, union_all
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.board_queries import MOST_FOUND, ColumnFigures
from pbxcrm.deals.filters import DealFilter, ways_to_match
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import MOST_COUNTED, DealRow, as_rows
from pbxcrm.fields.conditions import Shape, Term
from pbxcrm.fields.terms import MADE, sorted_by
from pbxcrm.shared.core_sql import fetch, one_of
from pbxcrm.shared.listed import MOST_SORTED, Listed, RowPlace, among_newest, sorted_by_text, sorted_rows
from pbxcrm.shared.text_match import is_searchable, up_to

LOOKED_THROUGH = 5_000  # deals that one request tests where no index helps
#: The terms of deals by which a list finds enough at once.
INDEXED = frozenset(
    ["responsible", "team", "contact", "company", "number", "tag", "pipeline", "stage", "stage_kind", "status"]
) | {MADE}
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class ListSort:
    """The order of a list: by ``term``, deals without a value last; None: the newest first. Equal ones by id."""

    term: Term | None = None
    descending: bool = True

    @property
    def is_capped(self) -> bool:
        """Whether no index gives the order: then only the ``MOST_SORTED`` newest deals are sorted."""
        return self.term is not None and self.term.name != MADE and not self.term.name.startswith("field.")


@dataclass(frozen=True, slots=True)
class ListSelection:
    """The deals of a list: ``conditions`` that an index helps with, and ``tested`` ones, which are tested deal by deal.

    ``ways``: where so many match the text that they are not collected, how each of them may match it. ``end``: the id of the last of the
    first ``LOOKED_THROUGH`` deals, if there are more.
    """

    conditions: Conditions
    tested: Conditions = ()
    ways: Conditions = ()
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The newest deals of a selection behind a place that are looked at: their conditions, and the id of the last one if older ones are left."""

    conditions: Conditions
    resume: int | None = None


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
    is_open = col(Deal.closed_at).is_(None)  # in the words of ``ix_deals_open``: open deals are few
    if text and not is_searchable(text):
        return ListSelection([*found, is_open, *asked.conditions()])
    asked = asked.without_words(true()) if text else asked
    if asked.finds_open_only:
        found, tested = [*found, is_open, *asked.conditions()], []
    else:
        helped, others = asked.by_index(INDEXED)
        if others.asks and MADE in helped.asks:  # deals of a time are found in the order of time, and tested ones by id
            helped, others = asked.by_index(INDEXED - {MADE})
        found, tested = [*found, *helped.conditions()], others.conditions()
    if not text:
        return ListSelection(found, tested, end=await _end(session, found) if tested else None)
    ways = ways_to_match(text)
    queries = {f"way{n}": select(col(Deal.id)).where(*found, way) for n, way in enumerate(ways)}
    some = await up_to(session, MOST_FOUND, queries)
    known = one_of(session, col(Deal.id), sorted({each for ids in some.values() for each in ids or ()}))
    if left := [way for way, ids in zip(ways, some.values(), strict=True) if ids is None]:
        return ListSelection(found, tested, [known, *left])
    return ListSelection([*found, known, *tested])


async def next_stretch(session: AsyncSession, among: ListSelection, *, before: int | None, limit: int) -> Stretch:
    """The newest deals older than ``before``: no fewer than ``limit``, and no more than one request looks at."""
    older = [col(Deal.id) < before] if before is not None else []
    latest = col(Deal.id).desc()
    if among.ways:  # each way to match is asked for its own newest
        most = max(limit, MOST_FOUND) if among.tested else limit
        parts = [
            select(col(Deal.id)).where(*among.conditions, *older, way).order_by(latest).limit(most).subquery()
            for way in among.ways
        ]
        found = await fetch(session, union_all(*(select(part.c.id) for part in parts)))
        ids = sorted({deal_id for (deal_id,) in found}, reverse=True)[:most]
        return Stretch([one_of(session, col(Deal.id), ids), *among.tested], ids[-1] if len(ids) == most else None)
    if not among.tested:
        return Stretch([*among.conditions, *older])
    last = among.end if before is None else await _end(session, [*among.conditions, *older])
    within = [col(Deal.id) >= last] if last is not None else []
    return Stretch([*among.conditions, *older, *within, *among.tested], last)


async def _end(session: AsyncSession, conditions: Conditions) -> int | None:
    candidates = select(col(Deal.id)).where(*conditions).order_by(col(Deal.id).desc())
    return (await session.exec(candidates.offset(LOOKED_THROUGH - 1).limit(1))).first()


async def page_of_deals(
    session: AsyncSession, among: ListSelection, sort: ListSort, *, after: RowPlace | None, limit: int
) -> Listed[tuple[DealRow, RowPlace], RowPlace]:
    """The deals after a place in the list, each with its own place; ``resume`` where older ones were not looked at yet."""
    term = sort.term
    if term is None:
        before = after.row_id if after is not None else None
        stretch = await next_stretch(session, among, before=before, limit=limit)
        query = select(Deal).where(*stretch.conditions).order_by(col(Deal.id).desc()).limit(limit)
        deals = list((await session.exec(query)).all())
        rows = [(row, RowPlace(None, row.deal.id or 0)) for row in await as_rows(session, deals)]
        ends = len(rows) == limit or stretch.resume is None
        return Listed(rows, None if ends else RowPlace(None, stretch.resume or 0))
    stretch = await next_stretch(session, among, before=None, limit=MOST_FOUND)
    conditions = stretch.conditions
    if sort.is_capped and stretch.resume is None:
        conditions = [among_newest(Deal, conditions, MOST_SORTED)]
    down = sort.descending
    if sort.is_capped and term.shape is Shape.TEXT:
        found = await sorted_by_text(session, Deal, conditions, term.sql, descending=down, after=after, limit=limit)
    else:
        order = sorted_by(term, descending=down)
        found = await sorted_rows(session, Deal, conditions, order, after=after, limit=limit)
    filled = await as_rows(session, [deal for deal, _ in found])
    return Listed([(row, place) for row, (_, place) in zip(filled, found, strict=True)])


async def list_figures(session: AsyncSession, among: ListSelection) -> ColumnFigures:
    """The number and sum of all that match, up to ``MOST_COUNTED``; without a sum, how many there are at least where not all were looked at."""
    if among.ways and not among.tested:
        return ColumnFigures(MOST_FOUND, Decimal(0), 0, has_more=True)
    stretch = await next_stretch(session, among, before=None, limit=MOST_FOUND)
    some = select(col(Deal.amount)).where(*stretch.conditions).limit(MOST_COUNTED + 1).subquery()
    count, amount = (await session.exec(select(func.count(), func.sum(some.c.amount)).select_from(some))).one()
    more = count > MOST_COUNTED or stretch.resume is not None
    return ColumnFigures(min(count, MOST_COUNTED), Decimal(0) if more else amount or Decimal(0), 0, more)


async def all_matching(session: AsyncSession, among: ListSelection, *, limit: int) -> list[tuple[int, int]]:
    """The ids and versions of all that match, newest first, up to ``limit``."""
    found: list[tuple[int, int]] = []
    before: int | None = None
    while True:
        stretch = await next_stretch(session, among, before=before, limit=limit)
        query = select(Deal.id, Deal.version).where(*stretch.conditions).order_by(col(Deal.id).desc())
        found += [(deal_id or 0, version) for deal_id, version in (await session.exec(query.limit(limit))).all()]
        if len(found) >= limit or stretch.resume is None:
            return found[:limit]
        before = stretch.resume
