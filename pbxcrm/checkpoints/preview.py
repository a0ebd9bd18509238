"""What another norm would do: to the deals that stand in a stage now, and to the last days as they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.addressees import goes_to_manager
from pbxcrm.checkpoints.checks import LONGEST_MINUTES
from pbxcrm.checkpoints.config import Watched
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.defaults import REACTION_MINUTES, TALKED_SECONDS
from pbxcrm.checkpoints.facts import DealFacts, load_facts
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind, WorkKind
from pbxcrm.checkpoints.rules import base_of, due_of
from pbxcrm.checkpoints.what_if import Stay, would_light
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.shared.errors import Invalid, NotFound

DAYS = 30
MOST_STAYS = 5000  # looked at; the newest
BATCH = 500


@dataclass(frozen=True, slots=True)
class Preview:
    """``deals`` stand in the stage; so many would have a lamp at once."""

    deals: int
    would_light_now: int


@dataclass(frozen=True, slots=True)
class Lit:
    lamps: int
    at_managers: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """``stays`` in the stage were looked at; ``is_all``: those were all of them."""

    days: int
    stays: int
    is_all: bool
    now: Lit
    then: Lit


async def preview_norm(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime
) -> Preview:
    """Raises Invalid at ``norm_minutes``, NotFound."""
    _check(norm_minutes)
    context = await load_engine(session)
    watched = await _watched(session, context, stage_id)
    rows = await session.exec(select(Deal).where(Deal.stage_id == stage_id, col(Deal.closed_at).is_(None)))
    deals, count = rows.all(), 0
    for start in range(0, len(deals), BATCH):
        facts = await load_facts(session, deals[start : start + BATCH], [watched], context.people)
        count += sum(_is_late(context, watched, each, norm_minutes, now) for each in facts.values())
    return Preview(len(deals), count)


def _is_late(context: EngineContext, watched: Watched, facts: DealFacts, norm: int, now: datetime) -> bool:
    base = base_of(facts.entered_at, facts.works_for(watched))
    return due_of(context.working_of(facts.deal.responsible_id), base.at, norm, facts.rests) <= now


async def what_if(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime, days: int = DAYS
) -> WhatIf:
    """With this norm the last days would have lit so many lamps, instead of so many with the norm of today."""
    _check(norm_minutes)
    context = await load_engine(session)
    watched = await _watched(session, context, stage_id)
    since = now - timedelta(days=days)
    stays = await _stays(session, stage_id, since, now)
    of_now, of_then = [0, 0], [0, 0]
    today = watched.minutes or (float(norm_minutes), REACTION_MINUTES)
    then = (float(norm_minutes), *today[1:])
    to_manager = [goes_to_manager(step.whom) for step in watched.steps]
    for start in range(0, len(stays), BATCH):
        batch = stays[start : start + BATCH]
        ids = {deal_id for deal_id, _, _ in batch}
        deals = (await session.exec(select(Deal).where(col(Deal.id).in_(ids)))).all()
        facts = await load_facts(session, deals, [watched], context.people)
        for deal_id, entered_at, left_at in batch:
            each = facts[deal_id]
            working = context.working_of(each.deal.responsible_id)
            works = sorted(each.works_for(watched), key=lambda work: work.at)
            stay = Stay(entered_at, left_at, works, each.rests)
            for minutes, counted in ((today, of_now), (then, of_then)):
                for lamp in would_light(stay, working, minutes):
                    if lamp.lit_at >= since:
                        counted[0] += 1
                        counted[1] += to_manager[lamp.step]
    return WhatIf(days, len(stays), len(stays) < MOST_STAYS, Lit(*of_now), Lit(*of_then))


async def _stays(
    session: AsyncSession, stage_id: int, since: datetime, now: datetime
) -> list[tuple[int, datetime, datetime]]:
    """Deal, entry and leaving of every stay in the stage that reaches into the time since."""
    entered = await session.exec(
        select(StageMove.deal_id)
        .where(StageMove.to_stage_id == stage_id)
        .group_by(col(StageMove.deal_id))
        .order_by(col(StageMove.deal_id).desc())
        .limit(MOST_STAYS)
    )
    ids = entered.all()
    found: list[tuple[int, datetime, datetime]] = []
    for start in range(0, len(ids), BATCH):
        rows = await session.exec(
            select(StageMove)
            .where(col(StageMove.deal_id).in_(ids[start : start + BATCH]))
            .order_by(col(StageMove.deal_id), col(StageMove.id))
        )
        found += _pairs(rows.all(), stage_id, since, now)
    return found[:MOST_STAYS]


def _pairs(
    moves: Sequence[StageMove], stage_id: int, since: datetime, now: datetime
) -> list[tuple[int, datetime, datetime]]:
    found = []
    for number, move in enumerate(moves):
        if move.to_stage_id != stage_id:
            continue
        following = moves[number + 1] if number + 1 < len(moves) else None
        left = following.at if following is not None and following.deal_id == move.deal_id else now
        if left >= since:
            found.append((move.deal_id, move.at, left))
    return found


async def _watched(session: AsyncSession, context: EngineContext, stage_id: int) -> Watched:
    """What watches the stage, or what would by default."""
    stage = await session.get(Stage, stage_id)
    if stage is None:
        raise NotFound("stages.not_found", "There is no such stage any more.")
    for each in context.watching.by_id.values():
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


def _check(norm: int) -> None:
    if not 1 <= norm <= LONGEST_MINUTES:
        raise Invalid(
            "norm_minutes", "checkpoints.minutes", "A step comes after at least a minute and at most five years."
        )
