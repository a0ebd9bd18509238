"""Lighting lamps and putting them out: the tasks, the reasons, the hints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.addressees import JOINT, MANAGER, RESPONSIBLE, addressee_of
from pbxcrm.checkpoints.config import Watched
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.facts import DealFacts
from pbxcrm.checkpoints.models import CheckpointStep, Lamp, LampState, StepKind, TriggerKind
from pbxcrm.deals.models import Stage
from pbxcrm.shared.db import lock
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import NewTask, do_change_task, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_DIGEST, ABOUT_LAMP

LATE = timedelta(minutes=15)  # a lamp that lights later than this was held up
MOST_LATE = 10  # held-up lamps of one person in one sweep; more become one task
TITLES_SAID = 30


@dataclass(frozen=True, slots=True)
class DueLamp:
    """A lamp that is due, with what it is about."""

    lamp: Lamp
    watched: Watched
    facts: DealFacts
    part_of_id: int | None = None  # the task of the step before

    @property
    def step(self) -> CheckpointStep:
        return self.watched.steps[self.lamp.step]


async def light(
    session: AsyncSession,
    context: EngineContext,
    due: Sequence[DueLamp],
    stages: Mapping[int | None, Stage],
    now: datetime,
) -> None:
    """Each becomes a task that is due now; too many held-up ones of one person become one task for all of them."""
    asked = {}
    for each in due:
        asked[id(each)] = addressee_of(context, each.step.whom, each.facts.deal.responsible_id, now)
    late = Counter(asked[id(each)][0] for each in due if now - each.lamp.due_at > LATE)
    crowded = {user_id for user_id, count in late.items() if user_id is not None and count > MOST_LATE}
    for user_id in crowded:
        theirs = [each for each in due if asked[id(each)][0] == user_id and now - each.lamp.due_at > LATE]
        task = await _digest(session, context, user_id, theirs, now)
        for each in theirs:
            _burn(session, each, stages, asked[id(each)], now)
            each.lamp.task_id = task.id
    for each in due:
        if each.lamp.state != LampState.ARMED:
            continue
        _burn(session, each, stages, asked[id(each)], now)
        await _give_task(session, context, each, stages, now)


def _burn(
    session: AsyncSession,
    each: DueLamp,
    stages: Mapping[int | None, Stage],
    asked: tuple[int | None, list[Reason]],
    now: datetime,
) -> None:
    lamp, deal = each.lamp, each.facts.deal
    why = _why(each, stages, asked[1])
    lamp.state, lamp.lit_at, lamp.asked_at = LampState.BURNING.value, now, now
    lamp.owner_id, lamp.addressee_id, lamp.stage_id = deal.responsible_id, asked[0], deal.stage_id
    lamp.reason, lamp.version = why.stored(), lamp.version + 1
    record(session, now, "deal.lamp_lit", "deal", deal.id, actor=None, reason=why, lamp=lamp.id, step=lamp.step)


def _why(each: DueLamp, stages: Mapping[int | None, Stage], behind: Sequence[Reason]) -> Reason:
    lamp, checkpoint = each.lamp, each.watched.checkpoint
    if lamp.step:
        return Reason("lamp.later", {"norm": str(lamp.minutes)}, tuple(behind))
    stage = stages.get(each.facts.deal.stage_id)
    facts = {"norm": str(lamp.minutes), "stage": stage.name if stage else "", "checkpoint": checkpoint.name}
    code = {TriggerKind.DATE.value: "lamp.date", TriggerKind.SILENCE.value: "lamp.silence"}.get(
        checkpoint.trigger, "lamp.stage"
    )
    return Reason(code, facts, tuple(behind))


def _title(context: EngineContext, each: DueLamp, stages: Mapping[int | None, Stage]) -> Reason:
    deal, checkpoint, step = each.facts.deal, each.watched.checkpoint, each.step
    if step.text:
        return reason("task.lamp_said", text=step.text, title=deal.title)
    if step.what == StepKind.CONTROL:
        who = context.people.active(deal.responsible_id)
        if who is None:
            return reason("task.lamp_control_nobodys", title=deal.title)
        return reason("task.lamp_control", who=who.name, title=deal.title)
    stage = stages.get(deal.stage_id)
    code = {TriggerKind.DATE.value: "task.lamp_date", TriggerKind.SILENCE.value: "task.lamp_silence"}.get(
        checkpoint.trigger, "task.lamp_stage"
    )
    return reason(code, title=deal.title, stage=stage.name if stage else "", checkpoint=checkpoint.name)


async def _give_task(
    session: AsyncSession, context: EngineContext, each: DueLamp, stages: Mapping[int | None, Stage], now: datetime
) -> None:
    lamp, deal, step = each.lamp, each.facts.deal, each.step
    why = Reason.load(lamp.reason)
    assert why is not None
    new = NewTask(
        kind=TaskKind.CONTROL if step.what == StepKind.CONTROL else TaskKind.LAMP,
        title=_title(context, each, stages),
        why=why,
        due_at=now,
        assignee_id=lamp.addressee_id,
        deal_id=deal.id,
        contact_id=deal.contact_id,
        part_of_id=each.part_of_id,
        about=f"{ABOUT_LAMP}{lamp.id}",
        note="\n".join(f"☐ {line}" for line in step.checklist),
    )
    task = await do_create_task(session, new, now, context.people)
    lamp.task_id = task.id
    if step.whom == JOINT and deal.responsible_id not in {None, lamp.addressee_id}:
        theirs, _ = addressee_of(context, RESPONSIBLE, deal.responsible_id, now)
        if theirs != lamp.addressee_id:
            joint = NewTask(
                TaskKind.LAMP,
                new.title,
                why,
                now,
                theirs,
                deal.id,
                deal.contact_id,
                part_of_id=task.id,
                about=f"{ABOUT_LAMP}{lamp.id}:joint",
                note=new.note,
            )
            await do_create_task(session, joint, now, context.people)


async def _digest(
    session: AsyncSession, context: EngineContext, user_id: int, theirs: Sequence[DueLamp], now: datetime
) -> Task:
    """The one task of a person about everything that lit late; while it is open, more is added to it."""
    about = f"{ABOUT_DIGEST}{user_id}"
    await lock(session, about)
    known = await session.exec(select(Task).where(Task.about == about, Task.status == TaskStatus.OPEN.value))
    task = known.first()
    before = 0
    if task is not None:
        before = len(
            (
                await session.exec(
                    select(Lamp.id).where(Lamp.task_id == task.id, Lamp.state == LampState.BURNING.value)
                )
            ).all()
        )
    title = reason("task.lamp_digest", count=before + len(theirs))
    lines = [each.facts.deal.title for each in theirs]
    if task is not None:
        note = "\n".join([task.note, *lines])[:4000]
        await do_change_task(session, task, now, context.people, actor=None, why=title, title=title, note=note)
        return task
    said = ", ".join(lines[:TITLES_SAID]) + (" …" if len(lines) > TITLES_SAID else "")
    new = NewTask(
        TaskKind.CONTROL if any(each.step.what == StepKind.CONTROL for each in theirs) else TaskKind.LAMP,
        title,
        reason("lamp.digest", titles=said),
        now,
        user_id,
        about=about,
        note="\n".join(lines)[:4000],
    )
    return await do_create_task(session, new, now, context.people)


async def put_out(
    session: AsyncSession,
    context: EngineContext,
    lamps: Sequence[tuple[Lamp, Reason, int | None]],
    now: datetime,
    *,
    decision: str = "",
    note: str = "",
) -> None:
    """Each with why and by whose work; their tasks are closed with them, a shared one when its last lamp is out."""
    for lamp, why, by_id in lamps:
        lamp.state, lamp.out_at, lamp.out_by_id = LampState.OUT.value, now, by_id
        lamp.out_reason, lamp.version = why.stored(), lamp.version + 1
        if decision:
            lamp.decision, lamp.note = decision, note
        if lamp.deal_id is not None:
            record(session, now, "deal.lamp_out", "deal", lamp.deal_id, actor=None, reason=why, lamp=lamp.id, by=by_id)
    await session.flush()
    for lamp, why, by_id in lamps:
        await _close_tasks(session, context, lamp, why, by_id, now)


async def _close_tasks(
    session: AsyncSession, context: EngineContext, lamp: Lamp, why: Reason, by_id: int | None, now: datetime
) -> None:
    about = f"{ABOUT_LAMP}{lamp.id}"
    rows = await session.exec(
        select(Task).where(col(Task.about).in_([about, f"{about}:joint"]), Task.status == TaskStatus.OPEN.value)
    )
    found = list(rows.all())
    if not found and lamp.task_id is not None:
        shared = await session.get(Task, lamp.task_id)
        still = await session.exec(
            select(Lamp.id).where(Lamp.task_id == lamp.task_id, Lamp.state == LampState.BURNING.value).limit(1)
        )
        if shared is not None and still.first() is None:
            found = [shared]
    for task in found:
        await do_close_task(session, task, now, context.people, result=why, actor=None, by_id=by_id)


async def hand_over(
    session: AsyncSession, context: EngineContext, watched: Watched, lamp: Lamp, owner_id: int | None, now: datetime
) -> None:
    """A burning lamp goes to the new responsible, whose reaction pause begins anew."""
    user_id, behind = addressee_of(context, watched.steps[lamp.step].whom, owner_id, now)
    lamp.owner_id, lamp.version = owner_id, lamp.version + 1
    if user_id == lamp.addressee_id:
        return
    lamp.addressee_id, lamp.asked_at = user_id, now
    why = Reason("lamp.given", {"who": context.people.name(user_id)}, tuple(behind))
    task = await session.get(Task, lamp.task_id) if lamp.task_id is not None else None
    if task is not None and task.status == TaskStatus.OPEN and task.about == f"{ABOUT_LAMP}{lamp.id}":
        await do_change_task(session, task, now, context.people, actor=None, why=why, assignee_id=user_id)


def is_for_manager(step: CheckpointStep) -> bool:
    """Whether a step asks whoever looks after the responsible."""
    return step.whom in {MANAGER, JOINT}
