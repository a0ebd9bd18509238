"""Queries of the board: filters, cards of a column, figures of a column, and the time of a deal in each stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, union_all
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.deals.queries import MOST_COUNTED, DealRow, as_rows
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.text_match import digits_of, few, part_of

LONGEST_NORM = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """The filters of the board. ``text`` is a part of a title, of a client's or company's name, or digits of a number."""

    responsible_id: int | None = None
    nobodys: bool = False
    text: str = ""
    contact_id: int | None = None
    company_id: int | None = None
    deal_ids: tuple[int, ...] | None = None  # the deals that match ``text``, if ``narrowed`` found few

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for deals."""
        found: list[ColumnElement[bool]] = []
        for column, value in (
            (Deal.responsible_id, self.responsible_id),
            (Deal.contact_id, self.contact_id),
            (Deal.company_id, self.company_id),
        ):
            if value is not None:
                found.append(col(column) == value)
        if self.nobodys:
            found.append(col(Deal.responsible_id).is_(None))
        if self.deal_ids is not None:
            found.append(col(Deal.id).in_(self.deal_ids))
        elif self.text.strip():
            found.append(matches_text(self.text.strip()))
        return found


def matches_text(text: str) -> ColumnElement[bool]:
    """The condition that a deal matches ``text``. Clients are checked per deal: a board has far fewer deals than there are clients."""
    digits = digits_of(text)
    contact, company = col(Contact.id) == col(Deal.contact_id), col(Company.id) == col(Deal.company_id)
    named = [
        part_of(col(Deal.title_folded), text),
        exists().where(contact, part_of(col(Contact.name_folded), text)).correlate(Deal),
        exists().where(company, part_of(col(Company.name_folded), text)).correlate(Deal),
    ]
    if digits:
        has_it = col(Phone.number).contains(digits, autoescape=True)
        named += [
            col(Deal.client_number).contains(digits, autoescape=True),
            exists().where(col(Phone.contact_id) == col(Deal.contact_id), has_it).correlate(Deal),
        ]
    return or_(*named)


async def narrowed(session: AsyncSession, viewer: Viewer, pipeline_id: int, asked: BoardFilter) -> BoardFilter:
    """``asked`` with the ids of the deals that match its text, if there are few, so that the board's queries need not search again."""
    if not asked.text.strip():
        return asked
    fits = select(col(Deal.id)).where(visible_deals(viewer), col(Deal.pipeline_id) == pipeline_id, *asked.conditions())
    found = (await few(session, deals=fits))["deals"]
    return asked if found is None else replace(asked, deal_ids=tuple(found))


async def first_cards(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, stages: Sequence[Stage], asked: BoardFilter, *, cards: int
) -> dict[int, list[DealRow]]:
    """The newest ``cards`` deals of each stage, newest first, by stage id."""
    if not stages:
        return {}
    visible = (visible_deals(viewer), col(Deal.pipeline_id) == pipeline_id, *asked.conditions())
    tops = [
        select(col(Deal.id))
        .where(*visible, col(Deal.stage_id) == stage.id)
        .order_by(col(Deal.stage_since).desc(), col(Deal.id).desc())
        .limit(cards)
        .subquery()
        for stage in stages
    ]
    found = await session.exec(
        select(Deal)
        .where(col(Deal.id).in_(union_all(*(select(top.c.id) for top in tops))))
        .order_by(col(Deal.stage_since).desc(), col(Deal.id).desc())
    )
    columns: dict[int, list[DealRow]] = {stage.id or 0: [] for stage in stages}
    for row in await as_rows(session, list(found.all())):
        columns[row.deal.stage_id].append(row)
    return columns


async def column_cards(
    session: AsyncSession,
    viewer: Viewer,
    stage_id: int,
    asked: BoardFilter,
    *,
    after: tuple[datetime, int] | None,
    limit: int = 30,
) -> list[DealRow]:
    """The cards of one column, newest first; ``after`` is (stage_since, id) of the last card that was shown."""
    since, deal_id = col(Deal.stage_since), col(Deal.id)
    query = select(Deal).where(visible_deals(viewer), col(Deal.stage_id) == stage_id, *asked.conditions())
    if after is not None:
        query = query.where(or_(since < after[0], and_(since == after[0], deal_id < after[1])))
    found = await session.exec(query.order_by(since.desc(), deal_id.desc()).limit(limit))
    return await as_rows(session, list(found.all()))


async def get_card(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, deal_id: int, asked: BoardFilter
) -> DealRow | None:
    """The card of a deal on this board; None when the pipeline, the filters or access exclude it."""
    found = await session.exec(
        select(Deal).where(
            visible_deals(viewer), col(Deal.id) == deal_id, col(Deal.pipeline_id) == pipeline_id, *asked.conditions()
        )
    )
    deal = found.first()
    return (await as_rows(session, [deal]))[0] if deal is not None else None


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
    session: AsyncSession, viewer: Viewer, stages: Sequence[Stage], asked: BoardFilter, limits: dict[int, datetime]
) -> dict[int, ColumnFigures]:
    """The figures of each stage, by stage id, in one query. ``limits`` come from ``norm_limits``."""
    if not stages:
        return {}
    visible = (visible_deals(viewer), *asked.conditions())
    columns = []
    for stage in stages:
        deals = (
            select(col(Deal.stage_since), col(Deal.amount))
            .where(*visible, col(Deal.stage_id) == stage.id)
            .limit(MOST_COUNTED + 1)
            .subquery()
        )
        limit = limits.get(stage.id or 0)
        late = func.count().filter(deals.c.stage_since < limit) if limit is not None else literal(0)
        columns.append(select(literal(stage.id), func.count(), func.sum(deals.c.amount), late).select_from(deals))
    found: dict[int, ColumnFigures] = {}
    for stage_id, count, amount, over in await fetch(session, union_all(*columns)):
        more = count > MOST_COUNTED
        found[stage_id] = ColumnFigures(
            min(count, MOST_COUNTED), Decimal(0) if more else amount or Decimal(0), 0 if more else over, more
        )
    return found


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
    """The ``stages`` with the time that the deal spent in each; ``moves`` are sorted by time."""
    spent: dict[int, float] = {}
    ends = [*(move.at for move in moves[1:]), deal.closed_at or now]
    for move, until in zip(moves, ends, strict=False):  # a deal without moves (an old import) has no path
        spent[move.to_stage_id] = spent.get(move.to_stage_id, 0.0) + max(0.0, (until - move.at).total_seconds())
    return [PathStep(stage, spent.get(stage.id or 0), stage.id == deal.stage_id) for stage in stages]
