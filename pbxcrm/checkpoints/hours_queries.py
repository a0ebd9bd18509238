"""What other working hours, a leave or a pause would do to the lamps, asked before they are saved. Nothing is written."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.deal_facts import load_deal_facts, load_rests
from pbxcrm.checkpoints.engine import clock_of_deal
from pbxcrm.checkpoints.lamps import OPEN
from pbxcrm.checkpoints.models import Lamp, LampState, Subject, TriggerKind
from pbxcrm.checkpoints.preview_jobs import Look
from pbxcrm.checkpoints.rules import ACCEPTED, Rest, due_of
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import fetch, load_by_id
from pbxcrm.tasks.models import Task

BATCH = 2000


@dataclass(frozen=True, slots=True)
class _Armed:
    """The columns of an armed lamp from which its due time is computed."""

    id: int
    checkpoint_id: int
    entry: str
    subject: str
    deal_id: int | None
    callback_id: int | None
    owner_id: int | None
    entered_at: datetime
    minutes: int
    due_at: datetime


_ARMED = columns(*(col(getattr(Lamp, name)) for name in _Armed.__slots__)).where(
    col(Lamp.state) == LampState.ARMED.value
)


async def look_at_hours(session: AsyncSession, then: Calendars, now: datetime) -> Look:
    """What it would do if everybody worked by the calendars ``then``. Entries and work stay as they are, so only the due times of armed
    lamps are computed again.
    """
    context = await load_engine(session)
    deal_owners = _moved(context, then, of_team=True)
    callback_owners = _moved(context, then, of_team=False)
    if not deal_owners and not callback_owners:
        return Look(0, 0)
    later = replace(context, calendars=then, people=then.people)
    deals: set[int] = set()
    callbacks: set[int] = set()
    late, after = 0, 0
    touched = or_(_owned(Subject.DEAL, deal_owners), _owned(Subject.CALLBACK, callback_owners))
    while True:
        rows = await fetch(session, _ARMED.where(touched, col(Lamp.id) > after).order_by(col(Lamp.id)).limit(BATCH))
        lamps = [_Armed(*row) for row in rows]
        deals |= {lamp.deal_id for lamp in lamps if lamp.subject == Subject.DEAL and lamp.deal_id is not None}
        callbacks |= {lamp.callback_id for lamp in lamps if lamp.callback_id is not None}
        late += await _late(session, later, [lamp for lamp in lamps if lamp.due_at > now], now)
        if len(lamps) < BATCH:
            return Look(len(deals), late, len(callbacks))
        after = lamps[-1].id


async def look_at_team(session: AsyncSession, user_id: int, team_id: int | None, now: datetime) -> Look:
    """What it would do if the person were in this team, by whose hours the norms of their deals would run."""
    people = await load_directory(session)
    user = people.users.get(user_id)
    if user is None or user.team_id == team_id:
        return Look(0, 0)
    moved = replace(people, users={**people.users, user_id: User(**user.model_dump() | {"team_id": team_id})})
    return await look_at_hours(session, replace(await load_calendars(session, people), people=moved), now)


async def watched_of(session: AsyncSession, user_id: int) -> Look:
    """How many deals and callbacks of the person are watched. A leave moves no due time, it changes who is asked."""
    rows = await session.exec(
        select(Lamp.subject, func.count(func.distinct(func.coalesce(Lamp.callback_id, Lamp.deal_id))))
        .where(Lamp.owner_id == user_id, col(Lamp.state).in_(OPEN))
        .group_by(col(Lamp.subject))
    )
    counts = dict(rows.all())
    return Look(counts.get(Subject.DEAL.value, 0), 0, counts.get(Subject.CALLBACK.value, 0))


@dataclass(frozen=True, slots=True)
class PauseLook:
    """When the next lamp of a deal lights with a pause as it is and as it would be; None: none is armed."""

    now_at: datetime | None
    then_at: datetime | None


async def look_at_pause(session: AsyncSession, deal_id: int, rests: Sequence[Rest]) -> PauseLook:
    """When the next lamp of the deal lights now, and when it would with these pauses."""
    context, deal = await load_engine(session), await session.get(Deal, deal_id)
    rows = await fetch(session, _ARMED.where(col(Lamp.subject) == Subject.DEAL.value, col(Lamp.deal_id) == deal_id))
    lamps = [_Armed(*row) for row in rows]
    lamps = [lamp for lamp in lamps if f":{ACCEPTED}" not in lamp.entry]
    if deal is None or not lamps:
        return PauseLook(None, None)
    working = context.working_of(deal.responsible_id)
    watched = {lamp.checkpoint_id: context.watching.by_id[lamp.checkpoint_id] for lamp in lamps}
    facts = (await load_deal_facts(session, [deal], watched.values(), context.people))[deal_id]
    facts.rests = tuple(rests)
    then = [
        due_of(working, lamp.entered_at, lamp.minutes, facts.rests_for(watched[lamp.checkpoint_id])) for lamp in lamps
    ]
    return PauseLook(min(lamp.due_at for lamp in lamps), min(then))


def _moved(context: EngineContext, then: Calendars, *, of_team: bool) -> set[int | None]:
    """The owners whose working time differs; None: of what is nobody's."""

    def hours(calendars: Calendars, user_id: int | None) -> WorkingTime:
        if not of_team:
            return calendars.of_user(user_id)
        user = calendars.people.users.get(user_id) if user_id is not None else None
        return calendars.of_team(user.team_id if user is not None else None)

    known: Iterable[int | None] = (None, *then.people.users)
    return {user_id for user_id in known if hours(context.calendars, user_id) != hours(then, user_id)}


def _owned(subject: Subject, owners: Collection[int | None]) -> ColumnElement[bool]:
    owned: ColumnElement[bool] = col(Lamp.owner_id).in_([owner for owner in owners if owner is not None])
    if None in owners:
        owned = owned | col(Lamp.owner_id).is_(None)
    return (col(Lamp.subject) == subject.value) & owned


async def _late(session: AsyncSession, then: EngineContext, lamps: Sequence[_Armed], now: datetime) -> int:
    """How many of these lamps, which are not due yet, would be due by then."""
    by_date = {
        each.id
        for each in then.watching.of_deals
        if each.checkpoint.trigger == TriggerKind.DATE and each.checkpoint.offset_minutes
    }
    late, dated = 0, [lamp for lamp in lamps if lamp.checkpoint_id in by_date]
    rests = await _rests(session, then, lamps)
    for lamp in lamps:
        if lamp.checkpoint_id in by_date or f":{ACCEPTED}" in lamp.entry:  # a manager has named the time of the latter
            continue
        if lamp.subject == Subject.CALLBACK:
            due = then.calendars.of_user(lamp.owner_id).add_minutes(lamp.entered_at, lamp.minutes)
        else:
            working = then.working_of(lamp.owner_id)
            due = due_of(working, lamp.entered_at, lamp.minutes, rests.get((lamp.deal_id, lamp.checkpoint_id), ()))
        late += due <= now
    return late + (await _late_dates(session, then, dated, now) if dated else 0)


async def _rests(
    session: AsyncSession, context: EngineContext, lamps: Sequence[_Armed]
) -> dict[tuple[int | None, int], tuple[Rest, ...]]:
    """When the clocks of these lamps stand still, by deal and checkpoint. Few deals have more than pauses, so only theirs are read."""
    deal_ids = {lamp.deal_id for lamp in lamps if lamp.deal_id is not None}
    pauses = await load_rests(session, deal_ids)
    found: dict[tuple[int | None, int], tuple[Rest, ...]] = {
        (lamp.deal_id, lamp.checkpoint_id): pauses[lamp.deal_id]
        for lamp in lamps
        if lamp.deal_id is not None and lamp.deal_id in pauses
    }
    fields = {each.id for each in context.watching.of_deals if each.only_asks_for_field}
    closed = await session.exec(
        select(Task.deal_id).where(col(Task.deal_id).in_(deal_ids), col(Task.done_at) < col(Task.due_at)).distinct()
    )
    more = {*closed.all(), *(lamp.deal_id for lamp in lamps if lamp.checkpoint_id in fields)}
    watched = {
        lamp.checkpoint_id: context.watching.by_id[lamp.checkpoint_id]
        for lamp in lamps
        if lamp.deal_id in more and lamp.checkpoint_id in context.watching.by_id
    }
    deals = await load_by_id(session, Deal, more)
    facts = await load_deal_facts(session, list(deals.values()), watched.values(), context.people) if watched else {}
    for lamp in lamps:
        if lamp.deal_id in facts and lamp.checkpoint_id in watched:
            found[lamp.deal_id, lamp.checkpoint_id] = facts[lamp.deal_id].rests_for(watched[lamp.checkpoint_id])
    return found


async def _late_dates(session: AsyncSession, then: EngineContext, lamps: Sequence[_Armed], now: datetime) -> int:
    """The same for lamps so long before or after a date, whose clocks begin at another time by other hours."""
    deals = await load_by_id(session, Deal, {lamp.deal_id for lamp in lamps if lamp.deal_id is not None})
    watched = {lamp.checkpoint_id: then.watching.by_id[lamp.checkpoint_id] for lamp in lamps}
    facts = await load_deal_facts(session, list(deals.values()), watched.values(), then.people)
    late = 0
    for lamp in lamps:
        each = facts.get(lamp.deal_id or 0)
        clock = clock_of_deal(watched[lamp.checkpoint_id], each, then) if each is not None else None
        late += clock is not None and clock.due(clock.since, clock.minutes[0]) <= now
    return late
