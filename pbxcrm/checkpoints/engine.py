"""The engine: what the lamps of deals should be is read from the facts, and what differs is changed. Safe to repeat, in any order.

Whoever changes a fact (a move, a conversation, a next task, a pause, another norm) calls ``settle_deals`` in the same transaction.
The sweep calls ``light_due`` with the lamps it has claimed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.addressees import RESPONSIBLE
from pbxcrm.checkpoints.clocks import clock_of, last_work
from pbxcrm.checkpoints.config import Watched
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.facts import DealFacts, load_facts
from pbxcrm.checkpoints.lighting import DueLamp, hand_over, light, put_out
from pbxcrm.checkpoints.models import Lamp, LampState, Subject, WorkKind
from pbxcrm.checkpoints.settling import NewLamp, entry_of, settle
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.shared.core_sql import add_new, load_by_id
from pbxcrm.shared.reasons import Reason, reason

OPEN = (LampState.ARMED.value, LampState.BURNING.value)
_WORK_REASONS = {
    WorkKind.TALKED: "lamp.out_talked",
    WorkKind.NEXT_TASK: "lamp.out_planned",
    WorkKind.FIELD_FILLED: "lamp.out_filled",
}


async def settle_deals(session: AsyncSession, deal_ids: Collection[int], now: datetime) -> None:
    """Bring the lamps of these deals to what the facts say. Lights nothing: what is due is the sweep's."""
    if not deal_ids:
        return
    await session.flush()
    context = await load_engine(session)
    deals = await load_by_id(session, Deal, deal_ids)
    rows = await session.exec(
        select(Lamp)
        .where(col(Lamp.deal_id).in_(deal_ids), col(Lamp.state).in_(OPEN))
        .order_by(col(Lamp.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    lamps = list(rows.all())
    watched = _watched(context, deals.values(), lamps)
    if not watched and not lamps:
        return
    facts = await load_facts(session, list(deals.values()), watched, context.people)
    await apply(session, context, facts, lamps, now)


async def apply(
    session: AsyncSession,
    context: EngineContext,
    facts: Mapping[int, DealFacts],
    lamps: Sequence[Lamp],
    now: datetime,
) -> None:
    """Change what differs. ``lamps``: all open ones of these deals, held by this transaction."""
    new: list[dict[str, object]] = []
    for deal_id, each in facts.items():
        theirs = [lamp for lamp in lamps if lamp.deal_id == deal_id]
        watching = {watched.id: watched for watched in context.watching.of_deal(each.deal)}
        for checkpoint_id in sorted(watching.keys() | {lamp.checkpoint_id for lamp in theirs}):
            of_it = [lamp for lamp in theirs if lamp.checkpoint_id == checkpoint_id]
            known = watching.get(checkpoint_id)
            new += await _apply_one(session, context, known, each, of_it, now)
    await session.flush()
    await add_new(session, Lamp, new)


async def _apply_one(
    session: AsyncSession,
    context: EngineContext,
    watched: Watched | None,
    facts: DealFacts,
    lamps: Sequence[Lamp],
    now: datetime,
) -> list[dict[str, object]]:
    clock = clock_of(watched, facts, context) if watched is not None else None
    if watched is not None and clock is not None:
        burning = [lamp for lamp in lamps if lamp.state == LampState.BURNING and entry_of(lamp) == clock.entry]
        if any(lamp.owner_id != clock.owner_id for lamp in burning):
            lamps = await _reassigned(session, context, watched, facts, burning, lamps, now)
    changes = settle(clock, lamps)
    if changes.forget:
        await _forget(session, changes.forget)
    for lamp, wanted in changes.move:
        lamp.entered_at, lamp.minutes, lamp.due_at = wanted.since, round(wanted.minutes), wanted.due_at
        lamp.parked_at, lamp.error = None, ""
        lamp.version += 1
    for lamp in lamps:
        if lamp.state == LampState.ARMED and lamp.owner_id != facts.deal.responsible_id:
            lamp.owner_id = facts.deal.responsible_id
        if lamp.parked_at is not None:
            lamp.parked_at, lamp.error = None, ""
    if changes.put_out:
        why, by_id = why_out(context, watched, facts)
        await put_out(session, context, [(lamp, why, by_id) for lamp in changes.put_out], now)
    return [as_row(watched, facts, changes.arm)] if watched is not None and changes.arm is not None else []


async def _reassigned(
    session: AsyncSession,
    context: EngineContext,
    watched: Watched,
    facts: DealFacts,
    burning: Sequence[Lamp],
    lamps: Sequence[Lamp],
    now: datetime,
) -> list[Lamp]:
    """The responsible's lamp goes to the new one, with a new pause; what had reached the manager is answered by that. What stays open."""
    owner_id = facts.deal.responsible_id
    first = min(lamp.step for lamp in burning)
    answered = [lamp for lamp in burning if lamp.step > first and watched.steps[lamp.step].whom != RESPONSIBLE]
    why = reason("lamp.out_given", who=context.people.name(owner_id))
    await put_out(session, context, [(lamp, why, None) for lamp in answered], now, decision="reassigned")
    for lamp in burning:
        if lamp not in answered:
            await hand_over(session, context, watched, lamp, owner_id, now)
    return [lamp for lamp in lamps if lamp not in answered]


def why_out(context: EngineContext, watched: Watched | None, facts: DealFacts) -> tuple[Reason, int | None]:
    """Why a lamp of this deal is out, and by whose work."""
    if facts.deal.closed_at is not None:
        return reason("lamp.out_closed"), None
    if watched is None:
        return reason("lamp.out_moved"), None
    work = last_work(watched, facts)
    if work is None or (watched.checkpoint.stage_id is not None and work.at < facts.entered_at):
        return reason("lamp.out_rules" if watched.checkpoint.stage_id is None else "lamp.out_moved"), None
    return reason(_WORK_REASONS[work.kind], who=context.people.name(work.by_id) or "—"), work.by_id


def as_row(watched: Watched, facts: DealFacts, wanted: NewLamp) -> dict[str, object]:
    """A new armed lamp past the model, with what the model would fill in."""
    return {
        "checkpoint_id": watched.id,
        "step": wanted.step,
        "subject": Subject.DEAL.value,
        "deal_id": facts.deal.id,
        "callback_id": None,
        "stage_id": facts.deal.stage_id,
        "entry": wanted.entry,
        "owner_id": facts.deal.responsible_id,
        "addressee_id": None,
        "state": LampState.ARMED.value,
        "entered_at": wanted.since,
        "minutes": round(wanted.minutes),
        "due_at": wanted.due_at,
        "out_reason": {},
        "reason": {},
        "decision": "",
        "note": "",
        "error": "",
        "version": 1,
    }


async def light_due(session: AsyncSession, context: EngineContext, claimed: Sequence[Lamp], now: datetime) -> int:
    """Light those of ``claimed`` that are due by the facts of now; the others are moved or forgotten. How many lit.

    Touches no other lamp: whoever holds one of the same deal may wait for these.
    """
    deal_ids = {lamp.deal_id for lamp in claimed if lamp.deal_id is not None}
    deals = await load_by_id(session, Deal, deal_ids)
    others = await session.exec(
        select(Lamp).where(
            col(Lamp.deal_id).in_(deal_ids),
            Lamp.state == LampState.BURNING.value,
            col(Lamp.id).not_in([lamp.id for lamp in claimed]),
        )
    )
    burning: dict[tuple[int | None, int], list[Lamp]] = {}
    for lamp in others.all():
        burning.setdefault((lamp.deal_id, lamp.checkpoint_id), []).append(lamp)
    watched = [
        context.watching.by_id[lamp.checkpoint_id] for lamp in claimed if lamp.checkpoint_id in context.watching.by_id
    ]
    facts = await load_facts(
        session,
        list(deals.values()),
        {each.id: each for each in watched}.values(),
        context.people,
    )
    due: list[DueLamp] = []
    new: list[dict[str, object]] = []
    for lamp in claimed:
        each = facts.get(lamp.deal_id or 0)
        known = context.watching.by_id.get(lamp.checkpoint_id)
        clock = clock_of(known, each, context) if known is not None and each is not None else None
        before = burning.get((lamp.deal_id, lamp.checkpoint_id), [])
        changes = settle(clock, [*before, lamp])
        if known is None or each is None or lamp in changes.forget:
            await _forget(session, [lamp])
            if known is not None and each is not None and changes.arm is not None:
                new.append(as_row(known, each, changes.arm))
            continue
        for _, wanted in changes.move:
            lamp.entered_at, lamp.minutes, lamp.due_at = wanted.since, round(wanted.minutes), wanted.due_at
        if lamp.due_at <= now:
            due.append(DueLamp(lamp, known, each, max(before, key=lambda one: one.step).task_id if before else None))
    stages = await load_by_id(session, Stage, {each.facts.deal.stage_id for each in due})
    await light(session, context, due, stages, now)
    for lit in due:  # the next step waits from now on
        clock = clock_of(lit.watched, lit.facts, context)
        wanted_next = settle(clock, [*burning.get((lit.lamp.deal_id, lit.lamp.checkpoint_id), []), lit.lamp]).arm
        if wanted_next is not None:
            new.append(as_row(lit.watched, lit.facts, wanted_next))
    await session.flush()
    await add_new(session, Lamp, new)
    return len(due)


def _watched(context: EngineContext, deals: Iterable[Deal], lamps: Sequence[Lamp]) -> list[Watched]:
    found = {each.id: each for deal in deals for each in context.watching.of_deal(deal)}
    for lamp in lamps:
        known = context.watching.by_id.get(lamp.checkpoint_id)
        if known is not None:
            found[known.id] = known
    return list(found.values())


async def _forget(session: AsyncSession, lamps: Sequence[Lamp]) -> None:
    ids = [lamp.id for lamp in lamps]
    for lamp in lamps:
        session.expunge(lamp)
    await session.exec(delete(Lamp).where(col(Lamp.id).in_(ids)).execution_options(synchronize_session=False))
