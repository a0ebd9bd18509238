"""The engine: computes from the facts what the lamps of deals should be, and changes what differs. It is idempotent.

Code that changes a fact (a move, a conversation, a next task, a pause, a norm) calls ``settle_deals`` in the same transaction.
The sweep calls ``light_due`` with the lamps that it has claimed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import write_down
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.context import EngineContext, Watched, load_engine
from pbxcrm.checkpoints.counting import date_said
from pbxcrm.checkpoints.deal_facts import DealFacts, load_deal_facts
from pbxcrm.checkpoints.lamps import DueLampState, carry_out, hold_open, light_claimed
from pbxcrm.checkpoints.lighting import DueLamp, LampEnding, LampSubject, hand_over_lamp, put_out
from pbxcrm.checkpoints.models import (
    Checkpoint,
    CheckpointStep,
    Decision,
    Lamp,
    LampState,
    StepKind,
    Subject,
    TriggerKind,
    WorkKind,
)
from pbxcrm.checkpoints.relighting import arm_deals
from pbxcrm.checkpoints.rules import (
    ACCEPTED,
    Base,
    Clock,
    Rest,
    Work,
    base_of,
    clock_key,
    due_of,
    entry_of,
    entry_of_date,
    is_looked_again,
    worked_between,
)
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.reasons import Reason, reason

_WORK_REASONS = {
    WorkKind.TALKED: "lamp.out_talked",
    WorkKind.NEXT_TASK: "lamp.out_planned",
    WorkKind.FIELD_FILLED: "lamp.out_filled",
    WorkKind.STAGE_MOVED: "lamp.out_stage",
}


async def settle_deals(
    session: AsyncSession, deal_ids: Collection[int], now: datetime, *, begin_at: datetime | None = None
) -> None:
    """Make the lamps of these deals agree with the facts. It lights no lamps: the sweep does that. ``begin_at``: see ``rules.settle``."""
    if not deal_ids:
        return
    await session.flush()
    context = await load_engine(session)
    deals = await load_by_id(session, Deal, deal_ids)
    lamps = await hold_open(session, Lamp.subject == Subject.DEAL.value, col(Lamp.deal_id).in_(deal_ids))
    watched = _watched(context, deals.values(), lamps)
    if not watched and not lamps:
        return
    facts = await load_deal_facts(session, list(deals.values()), watched, context.people)
    await apply_facts(session, context, facts, lamps, now, begin_at=begin_at)


async def apply_facts(
    session: AsyncSession,
    context: EngineContext,
    facts: Mapping[int, DealFacts],
    lamps: Sequence[Lamp],
    now: datetime,
    *,
    begin_at: datetime | None = None,
) -> None:
    """Change what differs. ``lamps``: all open lamps of these deals, locked by this transaction."""
    new: list[dict[str, object]] = []
    for deal_id, each in facts.items():
        theirs = [lamp for lamp in lamps if lamp.deal_id == deal_id]
        watching = {watched.id: watched for watched in context.watching.of_deal(each.deal)}
        for checkpoint_id in sorted(watching.keys() | {lamp.checkpoint_id for lamp in theirs}):
            of_it = [lamp for lamp in theirs if lamp.checkpoint_id == checkpoint_id]
            known = watching.get(checkpoint_id)
            new += await _apply_one(session, context, known, each, of_it, now, begin_at)
    await session.flush()
    if again := await arm_deals(session, context, new, now):
        await settle_deals(session, again, now)


async def _apply_one(
    session: AsyncSession,
    context: EngineContext,
    watched: Watched | None,
    facts: DealFacts,
    lamps: Sequence[Lamp],
    now: datetime,
    begin_at: datetime | None,
) -> list[dict[str, object]]:
    clock = clock_of_deal(watched, facts, context) if watched is not None else None
    if watched is not None and clock is not None:
        burning = [lamp for lamp in lamps if lamp.state == LampState.BURNING and entry_of(lamp) == clock.entry]
        if any(lamp.owner_id != clock.owner_id for lamp in burning):
            lamps = await _reassigned(session, context, watched, facts, burning, lamps, now)
    outcome = why_out(context, watched, facts)
    if outcome.why.code == "lamp.out_moved" and (burning := [each for each in lamps if _stands(each, facts)]):
        outcome = LampEnding(await _why_unwatched(session, context, burning[0].checkpoint_id))
    return await carry_out(
        session,
        context,
        clock,
        lamps,
        outcome,
        now,
        checkpoint_id=watched.id if watched is not None else None,
        subject=Subject.DEAL,
        deal_id=facts.deal.id,
        stage_id=facts.deal.stage_id,
        owner_id=facts.deal.responsible_id,
        begin_at=begin_at,
    )


def _stands(lamp: Lamp, facts: DealFacts) -> bool:
    """Whether the lamp burns and the deal has not moved since."""
    is_of_move = lamp.entry.startswith("m")
    is_here = clock_key(lamp.entry).split(":", 1)[0] == f"m{facts.move_id}" if is_of_move else True
    return lamp.state == LampState.BURNING and is_here and lamp.stage_id == facts.deal.stage_id


async def _why_unwatched(session: AsyncSession, context: EngineContext, checkpoint_id: int) -> Reason:
    """By which change of the rules a checkpoint no longer watches a deal that has not moved, and who made it."""
    checkpoint = await session.get_one(Checkpoint, checkpoint_id)
    watched = context.watching.by_id.get(checkpoint_id)
    if watched is not None and watched.minutes is None and checkpoint.stage_id is not None:
        stage = await session.get_one(Stage, checkpoint.stage_id)
        return reason("lamp.out_no_norm", stage=stage.name, who=await _changed_by(session, context, "stage", stage.id))
    if watched is not None:
        return reason("lamp.out_rules")
    code = "lamp.out_off" if checkpoint.archived_at is None else "lamp.out_removed"
    return reason(
        code, checkpoint=checkpoint.name, who=await _changed_by(session, context, "checkpoint", checkpoint_id)
    )


async def _changed_by(session: AsyncSession, context: EngineContext, entity: str, entity_id: int | None) -> str:
    """The name of whoever changed it last."""
    await write_down(session)  # the change of just now is what is asked for
    query = (
        select(AuditEntry.actor_id)
        .where(AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id))
        .order_by(col(AuditEntry.id).desc())
        .limit(1)
    )
    return context.people.name((await session.exec(query)).first()) or "—"


async def _reassigned(
    session: AsyncSession,
    context: EngineContext,
    watched: Watched,
    facts: DealFacts,
    burning: Sequence[Lamp],
    lamps: Sequence[Lamp],
    now: datetime,
) -> list[Lamp]:
    """Pass the burning lamp to the new responsible person with a new pause, and put out its escalations. Returns the open lamps."""
    owner_id = facts.deal.responsible_id
    first = min(lamp.step for lamp in burning)
    answered = [lamp for lamp in burning if lamp.step > first and watched.steps[lamp.step].whom != RESPONSIBLE]
    why = reason("lamp.out_given", who=context.people.name(owner_id))
    await put_out(session, context, answered, LampEnding(why, decision=Decision.REASSIGNED), now)
    stage = await session.get(Stage, facts.deal.stage_id)
    subject = subject_of(context, watched, facts, stage)
    for lamp in burning:
        if lamp not in answered:
            await hand_over_lamp(session, context, DueLamp(lamp, watched, subject), now)
    return [lamp for lamp in lamps if lamp not in answered]


def why_out(context: EngineContext, watched: Watched | None, facts: DealFacts) -> LampEnding:
    """Why a lamp of this deal goes out, and by whose work."""
    if facts.deal.merged_into_id is not None:
        return LampEnding(reason("lamp.out_merged"), None)
    if facts.deal.closed_at is not None:
        return _moved_away(facts, "lamp.out_closed")
    if watched is None:
        return _moved_away(facts, "lamp.out_moved")
    work = last_work(watched, facts)
    given = facts.given.get(watched.id, ())
    if given and (work is None or given[-1].at > work.at):
        return LampEnding(reason("lamp.out_given", who=context.people.name(facts.deal.responsible_id)))
    if work is None or (watched.checkpoint.stage_id is not None and work.at < facts.entered_at):
        if watched.checkpoint.stage_id is None:
            return LampEnding(reason("lamp.out_rules"))
        return _moved_away(facts, "lamp.out_moved")
    return LampEnding(reason(_WORK_REASONS[work.kind], who=context.people.name(work.by_id) or "—"), work.by_id)


def _moved_away(facts: DealFacts, code: str) -> LampEnding:
    """Why a lamp of the stage goes out that the deal has left. If that stage was removed, it is nobody's work."""
    if facts.removed is not None:
        return LampEnding(Reason("lamp.out_stage_removed", facts.removed.params))
    return LampEnding(reason(code), facts.moved_by_id)


def subject_of(context: EngineContext, watched: Watched, facts: DealFacts, stage: Stage | None) -> LampSubject:
    """The deal as a ``LampSubject`` for lighting."""
    deal, checkpoint = facts.deal, watched.checkpoint
    stage_name = stage.name if stage is not None else ""

    def why(lamp: Lamp, behind: Sequence[Reason]) -> Reason:
        if lamp.step:
            return Reason("lamp.later", {"norm": str(lamp.minutes)}, tuple(behind))
        if is_looked_again(lamp) and (accepted := facts.accepted.get(watched.id)) is not None:
            return _said_again(context, accepted, behind)
        if (date := facts.date(checkpoint.field)) is not None and checkpoint.trigger == TriggerKind.DATE:
            return Reason(*date_said(checkpoint, date), tuple(behind))
        told = {"norm": str(lamp.minutes), "stage": stage_name, "checkpoint": checkpoint.name}
        code = {TriggerKind.DATE.value: "lamp.date", TriggerKind.SILENCE.value: "lamp.silence"}
        return Reason(code.get(checkpoint.trigger, "lamp.stage"), told, tuple(behind))

    def title(step: CheckpointStep, *, for_worker: bool) -> Reason:
        if step.text:
            return reason("task.lamp_said", text=step.text, title=deal.title)
        if step.what == StepKind.CONTROL and not for_worker:
            who = context.people.active(deal.responsible_id)
            if who is None:
                return reason("task.lamp_control_nobodys", title=deal.title)
            return reason("task.lamp_control", who=who.name, title=deal.title)
        code = {TriggerKind.DATE.value: "task.lamp_date", TriggerKind.SILENCE.value: "task.lamp_silence"}
        found = code.get(checkpoint.trigger, "task.lamp_stage")
        return reason(found, title=deal.title, stage=stage_name, checkpoint=checkpoint.name)

    return LampSubject(
        kind=Subject.DEAL,
        id=deal.id or 0,
        name=deal.title,
        owner_id=deal.responsible_id,
        deal_id=deal.id,
        contact_id=deal.contact_id,
        stage_id=deal.stage_id,
        why=why,
        title=title,
        working=context.working_of(deal.responsible_id),
        stage_name=stage_name,
        rests=facts.rests_for(watched),
    )


def _said_again(context: EngineContext, accepted: Lamp, behind: Sequence[Reason]) -> Reason:
    """Why a deal is asked about again after a manager accepted its delay."""
    at = (accepted.out_at or accepted.entered_at).isoformat()
    return Reason("lamp.again", {"who": context.people.name(accepted.out_by_id) or "—", "date_at": at}, tuple(behind))


async def light_due(session: AsyncSession, context: EngineContext, claimed: Sequence[Lamp], now: datetime) -> int:
    """Light those of ``claimed`` that are due by the current facts; move or delete the others. Returns how many lit.

    It changes no other lamps of these deals: another transaction may have locked them and wait for the claimed ones.
    """
    deal_ids = {lamp.deal_id for lamp in claimed if lamp.deal_id is not None}
    deals = await load_by_id(session, Deal, deal_ids)
    others = await session.exec(
        select(Lamp).where(
            Lamp.subject == Subject.DEAL.value,
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
    facts = await load_deal_facts(
        session,
        list(deals.values()),
        {each.id: each for each in watched}.values(),
        context.people,
    )
    stages = await load_by_id(session, Stage, {each.deal.stage_id for each in facts.values()})

    def standing_of(lamp: Lamp) -> DueLampState | None:
        each = facts.get(lamp.deal_id or 0)
        known = context.watching.by_id.get(lamp.checkpoint_id)
        if known is None or each is None:
            return None
        context.check_hours(each.deal.responsible_id, of_team=True)
        return DueLampState(
            known,
            clock_of_deal(known, each, context),
            subject_of(context, known, each, stages.get(each.deal.stage_id)),
            burning.get((lamp.deal_id, lamp.checkpoint_id), ()),
        )

    return len(await light_claimed(session, context, claimed, standing_of, now))


def _watched(context: EngineContext, deals: Iterable[Deal], lamps: Sequence[Lamp]) -> list[Watched]:
    found = {each.id: each for deal in deals for each in context.watching.of_deal(deal)}
    for lamp in lamps:
        known = context.watching.by_id.get(lamp.checkpoint_id)
        if known is not None:
            found[known.id] = known
    return list(found.values())


def clock_of_deal(watched: Watched, facts: DealFacts, context: EngineContext) -> Clock | None:
    """The clock of the checkpoint for the deal. None if it does not watch the deal now: the deal is closed, in another stage, has no
    such date, or there was work after the date.
    """
    deal, checkpoint, minutes = facts.deal, watched.checkpoint, watched.minutes
    if minutes is None or watched not in context.watching.of_deal(deal) or facts.has_what_is_asked(watched):
        return None
    working, accepted = context.working_of(deal.responsible_id), facts.accepted.get(watched.id)
    given: Sequence[Work] = facts.given.get(watched.id, ())
    until, rests = _acceptance(accepted), facts.rests_for(watched)

    def due(since: datetime, wanted: float) -> datetime:
        return due_of(working, since, wanted, rests)

    if checkpoint.trigger == TriggerKind.DATE:
        burning = facts.burning_dates.get(watched.id)
        if burning is not None and not any(
            work.at > (burning.lit_at or burning.entered_at) for work in facts.works_for(watched)
        ):
            return Clock(entry_of(burning), burning.entered_at, minutes, due, deal.responsible_id, checkpoint.begins_at)
        date, begins = facts.date(checkpoint.field), date_of(watched, facts, working)
        if date is None or begins is None:
            return None
        base = Base(begins, "")
        entry = entry_of_date(deal.id or 0, date)
        if until is not None and until.at > base.at:
            base = Base(until.at, until.key)
            entry += f":{until.key}"
        if any(work.at > base.at for work in facts.works_for(watched)):
            return None
        if checkpoint.begins_at is not None and not base.key and due(base.at, minutes[0]) <= checkpoint.begins_at:
            return None  # its time had passed before the checkpoint began
        return _until_accepted(Clock(entry, base.at, minutes, due, deal.responsible_id), base, accepted, working, rests)
    if until is not None:
        given = (*given, until)
    if checkpoint.trigger == TriggerKind.SILENCE:
        base = base_of(deal.created_at, [*contacts_of(watched, facts), *given])
        entry = f"s{deal.id}:{base.key}"
    else:
        base = base_of(facts.entered_at, [*facts.works_for(watched), *given])
        entry = f"m{facts.move_id}:{base.key}"
    since = max(base.at, checkpoint.begins_at) if checkpoint.begins_at is not None else base.at
    clock = Clock(entry, since, minutes, due, deal.responsible_id, checkpoint.begins_at)
    return _until_accepted(clock, base, accepted, working, rests)


def _acceptance(lamp: Lamp | None) -> Work | None:
    """The moment when a manager accepted the delay, from which the deal is watched again."""
    if lamp is None or lamp.out_at is None:
        return None
    return Work(lamp.out_at, WorkKind.STAGE_MOVED, f"{ACCEPTED}{lamp.id}", lamp.out_at, lamp.out_by_id)


def _until_accepted(
    clock: Clock, base: Base, accepted: Lamp | None, working: WorkingTime, rests: Sequence[Rest]
) -> Clock:
    """The clock with the time that the manager named for its first step, if it runs since then. Without one the norm runs again."""
    again = accepted.look_again_at if accepted is not None else None
    if again is None or not base.key.startswith(ACCEPTED) or again <= base.at:
        return clock
    due_at = due_of(working, again, 0, rests)
    first = round(worked_between(working, clock.since, due_at, rests))
    return replace(clock, minutes=(first, *clock.minutes[1:]), first_due=due_at)


def date_of(watched: Watched, facts: DealFacts, working: WorkingTime) -> datetime | None:
    """When the clock of a date checkpoint begins: its date with the offset. None if the deal has no such date."""
    date, offset = facts.date(watched.checkpoint.field), watched.checkpoint.offset_minutes
    return working.add_minutes(date, offset) if date is not None and offset else date


def contacts_of(watched: Watched, facts: DealFacts) -> list[Work]:
    """What ends the silence: a conversation, and everything else that counts as work."""
    least = watched.checkpoint.talked_seconds
    talks = [
        Work(talk.at, WorkKind.TALKED, f"call:{talk.call_id}", talk.at, talk.by_id)
        for talk in facts.talks
        if talk.seconds >= least
    ]
    return talks + [work for work in facts.works_for(watched) if work.kind is not WorkKind.TALKED]


def last_work(watched: Watched, facts: DealFacts) -> Work | None:
    """The latest work that counts, which explains why a lamp is out; None without one."""
    works = (
        contacts_of(watched, facts) if watched.checkpoint.trigger == TriggerKind.SILENCE else facts.works_for(watched)
    )
    if facts.has_what_is_asked(watched):
        works = [*works, *facts.filling_of(watched).works[-1:]]
    return max((work for work in works if work.at >= facts.deal.created_at), key=lambda work: work.at, default=None)
