"""What another norm or other steps would do: for current deals, and for the deals of the last days."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.addressee_rules import goes_to_manager
from pbxcrm.checkpoints.context import EngineContext, Watched, Watching, load_engine
from pbxcrm.checkpoints.deal_facts import DealFacts, load_deal_facts
from pbxcrm.checkpoints.default_checkpoints import REACTION_MINUTES, TALKED_SECONDS
from pbxcrm.checkpoints.drafts import LONGEST_MINUTES
from pbxcrm.checkpoints.engine import clock_of_deal, contacts_of, date_of
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState, TriggerKind, WorkKind
from pbxcrm.checkpoints.relighting import was_decided
from pbxcrm.checkpoints.rules import Rest, Stay, WouldLight, due_of, late_now, would_light
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.shared.errors import Invalid, NotFound

DAYS = 30
MOST_STAYS = 5000  # deals whose stays are counted; the newest
BATCH = 500


@dataclass(frozen=True, slots=True)
class Preview:
    """``deals``: the number of watched deals. ``would_light_now``: how many of them would have a lamp at once."""

    deals: int
    would_light_now: int


@dataclass(frozen=True, slots=True)
class Lit:
    """The number of lamps that would have lit, and how many of them for managers."""

    lamps: int = 0
    at_managers: int = 0

    def __add__(self, other: "Lit") -> "Lit":
        return Lit(self.lamps + other.lamps, self.at_managers + other.at_managers)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The lamps of the last ``days`` with the present norm (``now``) and with the new one (``then``). ``stays``: how many stays were
    counted. ``is_all``: these were all stays.
    """

    days: int
    stays: int
    is_all: bool
    now: Lit
    then: Lit


@dataclass(frozen=True, slots=True)
class PastStay:
    """A stay of a deal in a stage, until it left or until now."""

    deal_id: int
    entered_at: datetime
    left_at: datetime


async def preview_norm(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime
) -> Preview:
    """The effect of another norm on current deals of the stage. Raises Invalid at ``norm_minutes``, NotFound."""
    _check(norm_minutes)
    then = with_norm(await watched_stage(session, stage_id), norm_minutes)
    return await preview(session, then, now)


async def preview(session: AsyncSession, then: Watched, now: datetime) -> Preview:
    """How many deals the checkpoint would watch, and how many of them would have a lamp at once."""
    context, count, late, after = await load_engine(session), 0, 0, 0
    while True:
        deals = await next_deals(session, then, after, BATCH)
        count += len(deals)
        late += await count_late(session, context, then, deals, now)
        if len(deals) < BATCH:
            return Preview(count, late)
        after = deals[-1].id or 0


async def count_deals(session: AsyncSession, then: Watched) -> int:
    """How many open deals the checkpoint would watch."""
    return (await session.exec(select(func.count()).select_from(Deal).where(_stands_there(then)))).one()


async def next_deals(session: AsyncSession, then: Watched, after: int, limit: int) -> Sequence[Deal]:
    """The next ``limit`` deals that the checkpoint would watch, by id, with ids above ``after``."""
    query = select(Deal).where(_stands_there(then), col(Deal.id) > after).order_by(col(Deal.id)).limit(limit)
    return (await session.exec(query)).all()


async def count_late(
    session: AsyncSession, context: EngineContext, then: Watched, deals: Sequence[Deal], now: datetime
) -> int:
    """How many of these deals would get a new lamp at once, of the first step or of a later one."""
    if not deals:
        return 0
    alone = replace(context, watching=Watching({then.id: then}, [then], None))
    facts = await load_deal_facts(session, deals, [then], context.people)
    lamps: dict[int | None, list[Lamp]] = {}
    known: set[tuple[int, str]] = set()
    rows = await session.exec(select(Lamp).where(col(Lamp.deal_id).in_(list(facts)), Lamp.checkpoint_id == then.id))
    for lamp in rows.all():
        if lamp.state == LampState.OUT:
            if not was_decided(lamp):
                continue  # it would burn again
            known.add((lamp.step, lamp.entry))
        else:
            lamps.setdefault(lamp.deal_id, []).append(lamp)
    clocks = {deal_id: clock_of_deal(then, each, alone) for deal_id, each in facts.items()}
    return sum(late_now(clock, lamps.get(deal_id, ()), known, now) for deal_id, clock in clocks.items())


async def what_if(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime, days: int = DAYS
) -> WhatIf:
    """How many lamps would have lit in the last ``days`` with this norm, and with the present one. Raises Invalid, NotFound."""
    _check(norm_minutes)
    watched = await watched_stage(session, stage_id)
    context, since = await load_engine(session), now - timedelta(days=days)
    then, lit_now, lit_then, count = with_norm(watched, norm_minutes), Lit(), Lit(), 0
    ids = await deals_that_stood(session, stage_id, MOST_STAYS)
    for start in range(0, len(ids), BATCH):
        stays = await stays_of(session, ids[start : start + BATCH], stage_id, since, now)
        count += len(stays)
        lit_now += await count_lit(session, context, watched, stays, since)
        lit_then += await count_lit(session, context, then, stays, since)
    return WhatIf(days, count, len(ids) < MOST_STAYS, lit_now, lit_then)


async def count_lit(
    session: AsyncSession, context: EngineContext, watched: Watched, stays: Sequence[PastStay], since: datetime
) -> Lit:
    """The lamps that these stays would have lit at ``since`` or later."""
    minutes = watched.minutes
    if minutes is None or not stays:
        return Lit()
    deals = (await session.exec(select(Deal).where(col(Deal.id).in_({stay.deal_id for stay in stays})))).all()
    facts = await load_deal_facts(session, deals, [watched], context.people)
    to_manager, lamps, at_managers = [goes_to_manager(step.whom) for step in watched.steps], 0, 0
    for past in stays:
        each = facts[past.deal_id]
        for lamp in _lamps_of(watched, each, past, context.working_of(each.deal.responsible_id), minutes):
            if lamp.lit_at >= max(since, past.entered_at):
                lamps += 1
                at_managers += to_manager[lamp.step]
    return Lit(lamps, at_managers)


async def past_deals(
    session: AsyncSession, then: Watched, since: datetime, limit: int, before: int | None = None
) -> list[int]:
    """The ids of deals that the checkpoint would have watched after ``since``, newest first; ``before``: only smaller ids."""
    checkpoint = then.checkpoint
    if checkpoint.stage_id is not None:
        return await deals_that_stood(session, checkpoint.stage_id, limit, before)
    query = select(Deal.id).where(or_(col(Deal.closed_at).is_(None), col(Deal.closed_at) >= since))
    if checkpoint.pipeline_id is not None:
        query = query.where(Deal.pipeline_id == checkpoint.pipeline_id)
    if before is not None:
        query = query.where(col(Deal.id) < before)
    rows = await session.exec(query.order_by(col(Deal.id).desc()).limit(limit))
    return [deal_id for deal_id in rows.all() if deal_id is not None]


async def past_stays(
    session: AsyncSession, then: Watched, deal_ids: Sequence[int], since: datetime, now: datetime
) -> list[PastStay]:
    """The stays of these deals where the checkpoint would have watched them: in its stage, else from first to last."""
    if then.checkpoint.stage_id is not None:
        return await stays_of(session, deal_ids, then.checkpoint.stage_id, since, now)
    rows = await session.exec(select(Deal.id, Deal.created_at, Deal.closed_at).where(col(Deal.id).in_(deal_ids)))
    return [PastStay(deal_id or 0, created_at, closed_at or now) for deal_id, created_at, closed_at in rows.all()]


async def deals_that_stood(session: AsyncSession, stage_id: int, limit: int, before: int | None = None) -> list[int]:
    """The ids of deals that ever entered the stage, newest first; ``before``: only smaller ids."""
    query = select(StageMove.deal_id).where(StageMove.to_stage_id == stage_id).group_by(col(StageMove.deal_id))
    if before is not None:
        query = query.where(StageMove.deal_id < before)
    return list((await session.exec(query.order_by(col(StageMove.deal_id).desc()).limit(limit))).all())


async def stays_of(
    session: AsyncSession, deal_ids: Sequence[int], stage_id: int, since: datetime, now: datetime
) -> list[PastStay]:
    """Every stay of these deals in the stage that ended at ``since`` or later, or has not ended."""
    rows = await session.exec(
        select(StageMove)
        .where(col(StageMove.deal_id).in_(deal_ids))
        .order_by(col(StageMove.deal_id), col(StageMove.id))
    )
    moves, found = rows.all(), []
    for number, move in enumerate(moves):
        if move.to_stage_id != stage_id:
            continue
        following = moves[number + 1] if number + 1 < len(moves) else None
        left = following.at if following is not None and following.deal_id == move.deal_id else now
        if left >= since:
            found.append(PastStay(move.deal_id, move.at, left))
    return found


async def watched_stage(session: AsyncSession, stage_id: int) -> Watched:
    """The checkpoint that watches the stage, else the default one for it, not stored. Raises NotFound."""
    stage = await session.get(Stage, stage_id)
    if stage is None:
        raise NotFound("stages.not_found", "There is no such stage any more.")
    for each in (await load_engine(session)).watching.by_id.values():
        if each.checkpoint.stage_id == stage_id and each.checkpoint.trigger == TriggerKind.STAGE and each.steps:
            return each
    work = [WorkKind.STAGE_MOVED.value, WorkKind.TALKED.value, WorkKind.NEXT_TASK.value]
    checkpoint = Checkpoint(
        name=stage.name, trigger="stage", stage_id=stage_id, work=work, talked_seconds=TALKED_SECONDS
    )
    steps = (
        CheckpointStep(checkpoint_id=0, position=0, whom="responsible", what="task"),
        CheckpointStep(checkpoint_id=0, position=1, after_minutes=REACTION_MINUTES, whom="manager", what="control"),
    )
    return Watched(checkpoint, steps, stage.norm_minutes)


def with_norm(watched: Watched, norm: int) -> Watched:
    """A copy whose first step has this norm; belongs to no session."""
    first, *later = (CheckpointStep(**step.model_dump()) for step in watched.steps)
    first.after_minutes = norm
    return Watched(watched.checkpoint, (first, *later), norm)


def _stands_there(then: Watched) -> ColumnElement[bool]:
    found = col(Deal.closed_at).is_(None)
    if then.checkpoint.stage_id is not None:
        return found & (col(Deal.stage_id) == then.checkpoint.stage_id)
    if then.checkpoint.pipeline_id is not None:
        return found & (col(Deal.pipeline_id) == then.checkpoint.pipeline_id)
    return found


def _check(norm: int) -> None:
    if not 1 <= norm <= LONGEST_MINUTES:
        raise Invalid(
            "norm_minutes", "checkpoints.minutes", "A step comes after at least a minute and at most five years."
        )


def _lamps_of(
    watched: Watched, facts: DealFacts, past: PastStay, working: WorkingTime, minutes: Sequence[float]
) -> list[WouldLight]:
    """The lamps of a stay; of a date or of silence also those before the deal came into the stage."""
    if watched.checkpoint.trigger == TriggerKind.DATE:
        begins = date_of(watched, facts, working)
        return [] if begins is None else _by_date(watched, facts, begins, past.left_at, working, minutes)
    is_silence = watched.checkpoint.trigger == TriggerKind.SILENCE
    works = contacts_of(watched, facts) if is_silence else facts.works_for(watched)
    begins = facts.deal.created_at if is_silence else past.entered_at
    rests = facts.rests_for(watched)
    if watched.only_asks_for_field:
        filling = facts.filling_of(watched)
        works = [*works, *filling.works]
        if filling.since is not None and filling.since < past.left_at:
            rests = (*rests, Rest(filling.since, past.left_at))
    stay = Stay(begins, past.left_at, sorted(works, key=lambda work: work.at), rests)
    return would_light(stay, working, minutes)


def _by_date(
    watched: Watched,
    facts: DealFacts,
    begins: datetime,
    left_at: datetime,
    working: WorkingTime,
    minutes: Sequence[float],
) -> list[WouldLight]:
    """Each step lights once after the date, until there is work. What counts is the date that the deal has now."""
    out_at = min((work.at for work in facts.works_for(watched) if work.at > begins), default=None)
    lamps, due = [], begins
    for step, after in enumerate(minutes):
        due = due_of(working, due, after, facts.rests_for(watched))
        if due >= min(left_at, out_at or left_at):
            break
        lamps.append(WouldLight(step, due, out_at))
    return lamps
