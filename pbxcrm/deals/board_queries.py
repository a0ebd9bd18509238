"""Queries of the board: filters, cards of a column, figures of a column, and the time of a deal in each stage."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, false, func, literal, or_, true, union, union_all
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.owners import owned_by_index
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.card_queries import BY_DATE, BoardCard, cards_in, cards_of_deals, read_cards
from pbxcrm.deals.filters import DealFilter, tests_of_match, ways_to_match
from pbxcrm.deals.lamp_queries import LEVELS, burning_deals, lamp_rank
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.deals.queries import MOST_COUNTED
from pbxcrm.deals.rules import is_closing
from pbxcrm.shared.core_sql import AmongIds, fetch, one_of
from pbxcrm.shared.frequent_texts import is_known_frequent, note_frequent
from pbxcrm.shared.text_match import is_searchable, up_to

LONGEST_NORM = timedelta(days=366)
MOST_FOUND = 1_000  # deals that a search on the board collects
_INDEXED = frozenset({"responsible", "contact", "company"})
RECENT = 1_000  # of a closed column the last so many are filtered: years of them would take seconds
MOST_AT_ONCE = 50_000  # deals of all open columns that are counted in one pass


class Sort(StrEnum):
    """The order of the cards of a column. There is no other: nobody places a card by hand."""

    DATE = "date"  # the last to enter the stage first
    LAMP = "lamp"  # burning ones first, those that reached the manager before the others; then by date


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a card in its column: the next ones come after it."""

    rank: int
    since: datetime
    deal_id: int


class FoundDeal(NamedTuple):
    """A deal that a text was found in: what its column shows of it, so that cards and figures need not look for it again."""

    id: int
    stage_id: int
    since: datetime
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The filter of a board, prepared for its queries: ``open`` for open stages, ``closed`` for closed ones.

    ``recent``: of a closed stage only the ``RECENT`` last deals are tested, because no index knows the filter. ``open_only``: no closed
    deal can match. ``found``: they are tested already, and ``open`` and ``closed`` name what passed: these deals, the last to enter its
    stage first.
    """

    open: DealFilter
    closed: DealFilter
    recent: bool = False
    open_only: bool = False
    found: Sequence[FoundDeal] | None = None

    def conditions(self, viewer: Viewer, stage: Stage) -> list[ColumnElement[bool]]:
        """The conditions for the deals of a stage that the viewer may see."""
        found = [visible_deals(viewer), col(Deal.stage_id) == stage.id]
        if not is_closing(stage):
            return [*found, *self.open.conditions()]
        if self.recent and self.found is None:
            found.append(_is_recent(found, stage))
        return [*found, *self.closed.conditions()]


async def selected(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, stages: Sequence[Stage], asked: DealFilter
) -> Selection:
    """``asked``, with its text looked for once: the queries of the board then read the deals found.

    Where more than ``MOST_FOUND`` match in a way (by the title, by the client …), deals are tested for it one by one, of the closed ones
    the last ``RECENT``. A text of one or two letters, for which there is no index, finds open deals only.
    """
    text = asked.text.strip()
    none = replace(asked, among=false())
    if not text:
        if asked.finds_open_only:
            return Selection(asked.of_open(), none, open_only=True)
        return Selection(asked, asked, recent=not asked.asks <= _INDEXED)
    without = asked.without_words(true())
    if not is_searchable(text):
        return Selection(asked, none)
    in_stages = col(Deal.stage_id).in_([stage.id for stage in stages])
    visible = (visible_deals(viewer), col(Deal.pipeline_id) == pipeline_id, in_stages, *without.conditions())
    found = await _found_by_index(session, viewer, pipeline_id, visible, text, alone=not without.asks)
    left = [test for test, some in zip(tests_of_match(text), found, strict=True) if some is None]
    deals = await _passing(session, viewer, pipeline_id, stages, without, or_(*left)) if left else []
    ids = {deal_id for some in found if some is not None for deal_id in some}
    if unread := ids - {deal.id for deal in deals}:
        here = (visible_deals(viewer), in_stages, one_of(session, col(Deal.id), sorted(unread)), *without.conditions())
        deals += [FoundDeal._make(row) for row in await fetch(session, columns(*_FOUND).where(*here))]
    deals.sort(key=lambda deal: (deal.since, deal.id), reverse=True)
    only = asked.without_words(one_of(session, col(Deal.id), sorted(deal.id for deal in deals)))
    return Selection(only, only, recent=bool(left), found=deals)


async def _found_by_index(
    session: AsyncSession,
    viewer: Viewer,
    pipeline_id: int,
    visible: Sequence[ColumnElement[bool]],
    text: str,
    *,
    alone: bool,
) -> list[list[int] | None]:
    """The ids of the deals that match in each way; None where more than ``MOST_FOUND`` do. ``alone``: nothing else is asked, so that
    the answer is remembered for this text and person.
    """
    ways = {f"way{n}": way for n, way in enumerate(ways_to_match(text))}
    kept_as = {name: f"board:{pipeline_id}:{viewer.user_id}:{name}" for name in ways}
    if alone:
        ways = {
            name: way for name, way in ways.items() if not is_known_frequent(session, kept_as[name], text, MOST_FOUND)
        }
    queries = {name: select(col(Deal.id)).where(*visible, way) for name, way in ways.items()}
    found = await up_to(session, MOST_FOUND, queries) if queries else {}
    if alone:
        for name in (name for name, ids in found.items() if ids is None):
            note_frequent(session, kept_as[name], text, MOST_FOUND)
    return [found.get(name) for name in kept_as]


_FOUND = (col(Deal.id), col(Deal.stage_id), col(Deal.stage_since), col(Deal.amount))  # as in ``FoundDeal``


async def _passing(
    session: AsyncSession,
    viewer: Viewer,
    pipeline_id: int,
    stages: Sequence[Stage],
    asked: DealFilter,
    test: ColumnElement[bool],
) -> list[FoundDeal]:
    """The deals that pass a test for which no index helps: once for cards and figures of all columns."""
    visible = (visible_deals(viewer), col(Deal.pipeline_id) == pipeline_id)
    still_open = col(Deal.stage_id).in_([stage.id for stage in stages if not is_closing(stage)])
    near = _by_owner(session, viewer)
    parts = [columns(*_FOUND).where(*visible, *near, still_open, *asked.of_open().conditions(), test)]
    for stage in stages:
        if is_closing(stage):
            here = [visible_deals(viewer), col(Deal.stage_id) == stage.id]
            parts.append(columns(*_FOUND).where(*here, _is_recent(here, stage), *asked.conditions(), test))
    return [FoundDeal._make(row) for row in await fetch(session, union_all(*parts))]


def _is_recent(here: Sequence[ColumnElement[bool]], stage: Stage) -> ColumnElement[bool]:
    """Whether a deal is one of the ``RECENT`` last in a stage; ``here``: the conditions for the deals there."""
    last = select(col(Deal.id)).where(*here, _of_pipeline(stage)).order_by(*BY_DATE).limit(RECENT)
    return AmongIds(col(Deal.id), select(last.correlate(None).subquery().c.id))


def _by_owner(session: AsyncSession, viewer: Viewer) -> list[ColumnElement[bool]]:
    """Beside ``visible_deals``, for PostgreSQL: of the open deals a manager's are found by the index of stages and owners."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    return [owned_by_index(viewer, col(Deal.responsible_id))]


async def first_cards(
    session: AsyncSession,
    viewer: Viewer,
    stages: Sequence[Stage],
    asked: Selection,
    sort: Sort,
    *,
    cards: int,
) -> dict[int, list[BoardCard]]:
    """The first ``cards`` deals of each stage by stage id."""
    if not stages:
        return {}
    if asked.found is not None and sort is Sort.DATE:
        return await _cards_of(session, stages, asked.found, cards)
    tops = [
        select(col(Deal.id), literal(0).label("rank"))
        .where(*asked.conditions(viewer, stage), _of_pipeline(stage))
        .order_by(*BY_DATE)
        .limit(cards)
        .subquery()
        for stage in stages
    ]
    parts = [columns(each.c.id, each.c.rank) for each in tops]
    still_open = {stage.id or 0 for stage in stages if not is_closing(stage)} if sort is Sort.LAMP else set()
    if still_open:
        # What burns beside the last to enter: so only the few that burn are ranked, not each open deal.
        parts.append(_burning_tops(viewer, still_open, asked, cards))
    by_stage: dict[int, list[BoardCard]] = {stage.id or 0: [] for stage in stages}
    for card in await cards_in(session, union(*parts).subquery() if still_open else union_all(*parts).subquery()):
        by_stage[card.stage_id].append(card)
    for stage_id in still_open:
        ranked = [card._replace(rank=LEVELS.index(card.lamp)) for card in by_stage[stage_id]]
        by_stage[stage_id] = sorted(ranked, key=lambda card: (card.rank, card.since, card.id), reverse=True)[:cards]
    return by_stage


def _burning_tops(viewer: Viewer, stage_ids: Collection[int], asked: Selection, cards: int) -> Any:  # Select
    """The ids of the first ``cards`` burning deals of each of these open stages."""
    order = (lamp_rank().desc(), *BY_DATE)
    burning = (
        columns(col(Deal.id), func.row_number().over(partition_by=col(Deal.stage_id), order_by=order).label("place"))
        .where(visible_deals(viewer), col(Deal.stage_id).in_(stage_ids), *asked.open.conditions())
        .where(col(Deal.id).in_(burning_deals()))
        .subquery()
    )
    return columns(burning.c.id, literal(0).label("rank")).where(burning.c.place <= cards)


async def _cards_of(
    session: AsyncSession, stages: Sequence[Stage], found: Sequence[FoundDeal], cards: int
) -> dict[int, list[BoardCard]]:
    by_stage: dict[int, list[BoardCard]] = {stage.id or 0: [] for stage in stages}
    first: dict[int, list[int]] = {stage_id: [] for stage_id in by_stage}
    for each in found:
        if len(first[each.stage_id]) < cards:
            first[each.stage_id].append(each.id)
    for card in await cards_of_deals(session, [deal_id for ids in first.values() for deal_id in ids]):
        by_stage[card.stage_id].append(card)
    return by_stage


async def column_cards(
    session: AsyncSession,
    viewer: Viewer,
    stage: Stage,
    asked: Selection,
    sort: Sort,
    *,
    after: Place | None,
    limit: int = 30,
) -> list[BoardCard]:
    """The cards of one column after the last one that was shown."""
    since, deal_id, rank = col(Deal.stage_since), col(Deal.id), _rank(stage, sort)
    query = columns(deal_id, rank.label("rank")).where(*asked.conditions(viewer, stage), _of_pipeline(stage))
    if after is not None:
        later = or_(since < after.since, and_(since == after.since, deal_id < after.deal_id))
        query = query.where(or_(rank < after.rank, and_(rank == after.rank, later)) if _by_lamp(stage, sort) else later)
    return await cards_in(session, query.order_by(*_order(stage, sort)).limit(limit).subquery())


def _of_pipeline(stage: Stage) -> ColumnElement[bool]:
    """The stage says it already; named, it opens the index that has the deals by time."""
    return col(Deal.pipeline_id) == stage.pipeline_id


def _by_lamp(stage: Stage, sort: Sort) -> bool:
    return sort is Sort.LAMP and not is_closing(stage)  # nothing burns on closed deals


def _rank(stage: Stage, sort: Sort) -> ColumnElement[int]:
    return lamp_rank() if _by_lamp(stage, sort) else literal(0)


def _order(stage: Stage, sort: Sort) -> list[ColumnElement[Any]]:
    return [lamp_rank().desc(), *BY_DATE] if _by_lamp(stage, sort) else BY_DATE


async def all_open(
    session: AsyncSession, viewer: Viewer, stages: Sequence[Stage], asked: Selection, *, limit: int
) -> list[tuple[int, int]]:
    """The ids and versions of all deals in the open ones of these stages, up to ``limit``."""
    ids = [stage.id for stage in stages if not is_closing(stage)]
    found = await session.exec(
        select(Deal.id, Deal.version)
        .where(visible_deals(viewer), col(Deal.stage_id).in_(ids), *asked.open.conditions())
        .order_by(col(Deal.stage_since).desc(), col(Deal.id).desc())
        .limit(limit)
    )
    return [(deal_id or 0, version) for deal_id, version in found.all()]


async def get_card(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, deal_id: int, asked: DealFilter
) -> BoardCard | None:
    """The card of a deal on this board; None when the pipeline, the filters or access exclude it."""
    here = (visible_deals(viewer), col(Deal.id) == deal_id, col(Deal.pipeline_id) == pipeline_id)
    found = columns(col(Deal.id), literal(0).label("rank")).where(*here, *asked.conditions())
    return next(iter(await cards_in(session, found.subquery())), None)


@dataclass(frozen=True, slots=True)
class ColumnFigures:
    """The figures in the head of a board column, over all its deals, also those not loaded. ``amount`` is their sum.

    A column of more than ``MOST_COUNTED`` deals says so (``has_more``) and has no sum: counting years of closed deals would take longer
    than all else on the board.
    """

    count: int
    amount: Decimal
    over: int  # how many have been in the stage longer than its norm
    has_more: bool = False


async def figures(
    session: AsyncSession, viewer: Viewer, stages: Sequence[Stage], asked: Selection, limits: dict[int, datetime]
) -> dict[int, ColumnFigures]:
    """The figures of each stage, by stage id, in one query. ``limits`` come from ``norm_limits``."""
    if not stages:
        return {}
    if asked.found is not None:
        return _figures_of(stages, asked.found, limits)
    parts = []
    for stage in stages:
        deals = (
            select(col(Deal.stage_since), col(Deal.amount))
            .where(*asked.conditions(viewer, stage))
            .limit(MOST_COUNTED + 1)
            .subquery()
        )
        limit = limits.get(stage.id or 0)
        late = func.count().filter(deals.c.stage_since < limit) if limit is not None else literal(0)
        parts.append(select(literal(stage.id), func.count(), func.sum(deals.c.amount), late).select_from(deals))
    found: dict[int, ColumnFigures] = {}
    for stage_id, *counted in await fetch(session, union_all(*parts)):
        found[stage_id] = _figures(*counted)
    return found


def _figures(count: int, amount: Decimal | None, over: int) -> ColumnFigures:
    if count > MOST_COUNTED:
        return ColumnFigures(MOST_COUNTED, Decimal(0), 0, has_more=True)
    return ColumnFigures(count, amount or Decimal(0), over)


def _figures_of(
    stages: Sequence[Stage], found: Sequence[FoundDeal], limits: dict[int, datetime]
) -> dict[int, ColumnFigures]:
    by_stage: dict[int, list[FoundDeal]] = {stage.id or 0: [] for stage in stages}
    for each in found:
        by_stage[each.stage_id].append(each)
    return {
        stage_id: ColumnFigures(
            len(deals),
            sum((each.amount for each in deals if each.amount is not None), Decimal(0)),
            sum(each.since < limits[stage_id] for each in deals) if stage_id in limits else 0,
        )
        for stage_id, deals in by_stage.items()
    }


async def cards_and_figures(
    session: AsyncSession,
    viewer: Viewer,
    stages: Sequence[Stage],
    asked: Selection,
    sort: Sort,
    limits: dict[int, datetime],
    *,
    cards: int,
) -> tuple[dict[int, list[BoardCard]], dict[int, ColumnFigures]]:
    """``first_cards`` and ``figures``. Where deals are tested for a filter one by one, they are tested once for both."""
    if asked.found is not None or not (asked.recent or asked.open_only):
        first = await first_cards(session, viewer, stages, asked, sort, cards=cards)
        return first, await figures(session, viewer, stages, asked, limits)
    still_open = [stage for stage in stages if not is_closing(stage)]
    parts = [
        _top_of_stage(viewer, stage, asked, limits, cards) for stage in stages if is_closing(stage) and asked.recent
    ]
    if still_open:
        parts.append(_tops_at_once(session, viewer, still_open, asked, sort, limits, cards))
    first = {stage.id or 0: [] for stage in stages}
    counts: dict[int, Sequence[Any]] = dict.fromkeys(first, (0, None, 0))
    if parts:
        for card, counted in await read_cards(session, union_all(*parts).subquery(), "n", "total", "late"):
            first[card.stage_id].append(card)
            counts[card.stage_id] = counted
    if sum(count for count, *_ in counts.values()) > MOST_AT_ONCE:
        first = await first_cards(session, viewer, stages, asked, sort, cards=cards)
        return first, await figures(session, viewer, stages, asked, limits)
    return first, {stage_id: _figures(*counted) for stage_id, counted in counts.items()}


def _tops_at_once(
    session: AsyncSession,
    viewer: Viewer,
    stages: Sequence[Stage],
    asked: Selection,
    sort: Sort,
    limits: dict[int, datetime],
    cards: int,
) -> Any:  # Select
    """The first ``cards`` deals of each open stage that pass, each beside the figures of its stage, in one pass over all of them."""
    rank = (lamp_rank() if sort is Sort.LAMP else literal(0)).label("rank")
    # In no order and without the pipeline, as for the figures alone: then one index may hold all that is read.
    passing = columns(col(Deal.id), col(Deal.stage_id), rank, col(Deal.stage_since), col(Deal.amount)).where(
        visible_deals(viewer),
        *_by_owner(session, viewer),
        col(Deal.stage_id).in_([stage.id for stage in stages]),
        *asked.open.conditions(),
    )
    some = passing.limit(MOST_AT_ONCE + 1).subquery()
    late = [and_(some.c.stage_id == stage_id, some.c.stage_since < limit) for stage_id, limit in limits.items()]
    order = (some.c.rank.desc(), some.c.stage_since.desc(), some.c.id.desc())
    of_stage = some.c.stage_id
    figured = columns(
        some.c.id,
        some.c.rank,
        func.count().over(partition_by=of_stage).label("n"),
        func.sum(some.c.amount).over(partition_by=of_stage).label("total"),
        func.count().filter(or_(false(), *late)).over(partition_by=of_stage).label("late"),
        func.row_number().over(partition_by=of_stage, order_by=order).label("place"),
    ).subquery()
    return columns(*(figured.c[name] for name in ("id", "rank", "n", "total", "late"))).where(figured.c.place <= cards)


def _top_of_stage(
    viewer: Viewer, stage: Stage, asked: Selection, limits: dict[int, datetime], cards: int
) -> Any:  # Select
    """The same for the recent deals of a closed stage."""
    passing = columns(col(Deal.id), literal(0).label("rank"), col(Deal.stage_since), col(Deal.amount))
    some = passing.where(*asked.conditions(viewer, stage)).subquery()
    limit = limits.get(stage.id or 0)
    late = func.count().filter(some.c.stage_since < limit).over() if limit is not None else literal(0)
    figured = columns(
        some.c.id,
        some.c.rank,
        func.count().over().label("n"),
        func.sum(some.c.amount).over().label("total"),
        late.label("late"),
    )
    top = figured.order_by(some.c.stage_since.desc(), some.c.id.desc()).limit(cards).subquery()
    return columns(*top.c)


def norm_limits(stages: Sequence[Stage], working: WorkingTime, now: datetime) -> dict[int, datetime]:
    """For each stage with a norm, by id: a deal that entered the stage before this time is over the norm at ``now``."""
    limits: dict[int, datetime] = {}
    known: dict[int, datetime] = {}
    for stage in stages:
        if stage.norm_minutes is not None and stage.id is not None:
            if stage.norm_minutes not in known:
                known[stage.norm_minutes] = working_minutes_ago(working, now, stage.norm_minutes)
            limits[stage.id] = known[stage.norm_minutes]
    return limits


def working_minutes_ago(working: WorkingTime, now: datetime, minutes: int) -> datetime:
    """The time ``minutes`` working minutes before ``now``; a year before ``now`` if that year has fewer."""
    span = timedelta(hours=1)  # doubled until it is enough, so that usual norms need only a short span
    while (passed := working.minutes_between(now - span, now)) < minutes and span < LONGEST_NORM:
        span = min(2 * span, LONGEST_NORM)
    return working.add_minutes(now - span, passed - minutes) if passed > minutes else now - span


@dataclass(frozen=True, slots=True)
class PathStep:
    """A stage on the path of a deal. ``seconds``: the time spent there in all visits; None if the deal was never there."""

    stage: Stage
    seconds: float | None
    is_here: bool


def path_of(deal: Deal, stages: Sequence[Stage], moves: Sequence[StageMove], now: datetime) -> list[PathStep]:
    """The ``stages`` of its pipeline with the time that the deal spent in each; ``moves`` are sorted by time.

    A removed stage is on the path of a deal that was in it.
    """
    spent: dict[int, float] = {}
    ends = [*(move.at for move in moves[1:]), deal.closed_at or now]
    for move, until in zip(moves, ends, strict=False):  # a deal without moves (an old import) has no path
        spent[move.to_stage_id] = spent.get(move.to_stage_id, 0.0) + max(0.0, (until - move.at).total_seconds())
    steps = (PathStep(stage, spent.get(stage.id or 0), stage.id == deal.stage_id) for stage in stages)
    return [step for step in steps if step.stage.archived_at is None or step.is_here or step.seconds is not None]
