"""Lighting lamps and putting them out, with their tasks, reasons and hints, for every kind of subject."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.addressee_rules import Addressee, addressee_of, goes_to_manager
from pbxcrm.checkpoints.audience import audience_of_lamp
from pbxcrm.checkpoints.context import EngineContext, Watched
from pbxcrm.checkpoints.counting import spans_to_store, with_arithmetic
from pbxcrm.checkpoints.joint_actions import Half, do_make_joint, title_with
from pbxcrm.checkpoints.models import CheckpointStep, Decision, Lamp, LampState, StepKind, Subject
from pbxcrm.checkpoints.rules import JOINT_SUFFIX, Rest, about_of
from pbxcrm.deals.passed_decisions import passed_about_callbacks
from pbxcrm.people.directory import Directory
from pbxcrm.people.whom import JOINT, RESPONSIBLE
from pbxcrm.shared.db import lock
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.actions import (
    TaskDraft,
    do_change_task,
    do_close_task,
    do_create_task,
    do_create_tasks,
    do_open_task,
    do_restore_task,
    do_set_task,
    say_task_changed,
    undo_state_of,
)
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_DIGEST

LATE = timedelta(minutes=15)  # a lamp that lights later than this counts as late
MOST_LATE = 10  # late lamps of one person in one sweep; more become one task
TITLES_SAID = 30


class TitleOfStep(Protocol):
    """Builds the title of a step's task. ``for_worker``: for whoever does the work, else for who looks after them."""

    def __call__(self, step: CheckpointStep, *, for_worker: bool) -> Reason:
        """The title, as a reason that is shown in the reader's language."""
        ...


@dataclass(frozen=True, slots=True)
class LampSubject:
    """The deal or callback of a lamp, with what lighting needs.

    ``why`` builds the reason of a lamp from the reasons for its addressee.
    """

    kind: Subject
    id: int
    name: str  # shown to people
    owner_id: int | None
    deal_id: int | None
    contact_id: int | None
    stage_id: int | None
    why: Callable[[Lamp, Sequence[Reason]], Reason]
    title: TitleOfStep
    working: WorkingTime
    stage_name: str = ""
    rests: Sequence[Rest] = ()
    call_id: int | None = None
    part_of_id: int | None = None  # the parent task of its lamps' tasks


@dataclass(frozen=True, slots=True)
class DueLamp:
    """A due lamp with its checkpoint and subject."""

    lamp: Lamp
    watched: Watched
    subject: LampSubject
    part_of_id: int | None = None  # the task of the step before
    after_late: bool = False  # a step before it lit late: it comes at once with the others of that outage

    @property
    def step(self) -> CheckpointStep:
        """The step of the checkpoint that the lamp stands for."""
        return self.watched.steps[self.lamp.step]


async def light(session: AsyncSession, context: EngineContext, due: Sequence[DueLamp], now: datetime) -> None:
    """Light lamps: each gets a task that is due now. More than ``MOST_LATE`` late ones of one person share one task, and so do their
    next steps, which come all at once, too. Later ones are added while it is open.
    """
    asked = {
        id(each): addressee_of(context, each.step.whom, each.subject.owner_id, now, each.subject.kind) for each in due
    }
    late: dict[int, list[DueLamp]] = {}
    for each in due:
        user_id = asked[id(each)].user_id
        if user_id is None or _has_row(each, user_id):
            continue
        if each.after_late or now - each.lamp.due_at > LATE:
            late.setdefault(user_id, []).append(each)
    gathering = await _with_shared_task(session, late)
    for user_id, theirs in sorted(late.items()):  # in one order: two workers may hold digests of the same people
        if len(theirs) <= MOST_LATE and user_id not in gathering:
            continue
        task = await _digest(session, context, user_id, theirs, now)
        for each in theirs:
            _burn(session, context, each, asked[id(each)], now)
            each.lamp.task_id = task.id
    alone = [each for each in due if each.lamp.state == LampState.ARMED]
    for each in alone:
        _burn(session, context, each, asked[id(each)], now)
    await _give_tasks(session, context, alone, now)


def _has_row(each: DueLamp, user_id: int) -> bool:
    """Whether the lamp's task is a part of one that this person has already: a callback stays one row, however late it is."""
    return each.subject.kind is Subject.CALLBACK and each.subject.owner_id == user_id


async def _with_shared_task(session: AsyncSession, user_ids: Collection[int]) -> set[int]:
    """Those of these people who have an open task of many late lamps."""
    if not user_ids:
        return set()
    abouts = {f"{ABOUT_DIGEST}{user_id}": user_id for user_id in user_ids}
    rows = await session.exec(
        select(Task.about).where(col(Task.about).in_(list(abouts)), Task.status == TaskStatus.OPEN.value)
    )
    return {abouts[about] for about in rows.all()}


def _burn(session: AsyncSession, context: EngineContext, each: DueLamp, asked: Addressee, now: datetime) -> None:
    lamp, subject = each.lamp, each.subject
    why = subject.why(lamp, asked.why)
    lamp.worked = spans_to_store(subject.working, lamp.entered_at, min(lamp.due_at, now), subject.rests)
    lamp.state, lamp.lit_at, lamp.asked_at = LampState.BURNING.value, now, now
    lamp.owner_id, lamp.addressee_id, lamp.stage_id = subject.owner_id, asked.user_id, subject.stage_id
    lamp.instead_of_id = asked.instead_of_id
    lamp.deal_id, lamp.is_escalation = subject.deal_id, goes_to_manager(each.step.whom)
    lamp.reason, lamp.version = why.stored(), lamp.version + 1
    action = "callback.escalated" if lamp.is_escalation else "callback.lamp"
    if subject.kind is Subject.DEAL:
        action = "deal.lamp_lit"
    record(
        session,
        now,
        action,
        subject.kind.value,
        subject.id,
        actor=None,
        reason=why,
        lamp=lamp.id,
        step=lamp.step,
        escalation=lamp.is_escalation,
    )
    say_lamp_changed(session, lamp, now, context.people)


def say_lamp_changed(session: AsyncSession, lamp: Lamp, at: datetime, people: Directory) -> None:
    """Notify everybody who sees the lamp. Its callback changes for them too, since they may see it only because of the lamp."""
    heard = audience_of_lamp(lamp, people)
    emit(session, "lamp", lamp.id, at, users=heard.users, roles=heard.roles)
    if lamp.callback_id is not None:
        users = heard.users if lamp.is_escalation else {lamp.addressee_id}
        emit(session, "callback", lamp.callback_id, at, users=users)


async def _give_tasks(session: AsyncSession, context: EngineContext, lit: Sequence[DueLamp], now: datetime) -> None:
    """Create the tasks of all lit lamps in one call, then the joint tasks."""
    drafts = [_task_of(each, now) for each in lit]
    ids = {each.subject.id for each in lit if each.subject.kind is Subject.CALLBACK}
    passed = await passed_about_callbacks(session, ids)
    for each, draft in zip(lit, drafts, strict=True):
        if each.subject.kind is Subject.CALLBACK:
            await _take_up(session, context, passed.get(each.subject.id, ()), draft, now)
    tasks = await do_create_tasks(session, drafts, now, context.people)
    halves: list[Half] = []
    for each, task in zip(lit, tasks, strict=True):
        each.lamp.task_id = task.id
        if each.step.whom == JOINT:
            title = each.subject.title(each.step, for_worker=True)
            halves.append(Half(each.lamp, task, each.subject.owner_id, title))
    await do_make_joint(session, context, halves, now)


async def _take_up(
    session: AsyncSession, context: EngineContext, passed: Sequence[Task], draft: TaskDraft, now: datetime
) -> None:
    """Who is to decide about the callback already keeps that task: it becomes the lamp's, so that one miss stays one thing to do."""
    task = next((each for each in passed if each.assignee_id == draft.assignee_id), None)
    if task is None:
        return
    new = {
        "kind": draft.kind.value,
        "about": draft.about,
        "due_at": draft.due_at,
        "part_of_id": draft.part_of_id,
        "checklist": [*task.checklist, *(dict(each) for each in draft.checklist)],
        "reason": {**task.reason, "because": [*task.reason.get("because", ()), draft.why.stored()]},
    }
    await do_set_task(session, task, now, context.people, new, actor=None, why=draft.why)
    await session.flush()  # creating looks for it


def _task_of(each: DueLamp, now: datetime) -> TaskDraft:
    lamp, subject, step = each.lamp, each.subject, each.step
    return TaskDraft(
        kind=TaskKind.CONTROL if step.what == StepKind.CONTROL else TaskKind.LAMP,
        title=subject.title(step, for_worker=step.whom == RESPONSIBLE),
        why=with_arithmetic(lamp, subject.stage_name),
        due_at=now,
        assignee_id=lamp.addressee_id,
        deal_id=subject.deal_id,
        contact_id=subject.contact_id,
        call_id=subject.call_id,
        part_of_id=subject.part_of_id or each.part_of_id,
        about=about_of(lamp),
        checklist=tuple(checklist_rules.item(line) for line in step.checklist),
    )


async def _digest(
    session: AsyncSession, context: EngineContext, user_id: int, theirs: Sequence[DueLamp], now: datetime
) -> Task:
    """The shared task of a person for all late lamps. While it is open, later ones are added to it."""
    about = f"{ABOUT_DIGEST}{user_id}"
    await lock(session, about)
    known = await session.exec(select(Task).where(Task.about == about, Task.status == TaskStatus.OPEN.value))
    task = known.first()
    before = await _still_burning(session, task) if task is not None else 0
    title = reason("task.lamp_digest", count=before + len(theirs))
    lines = [each.subject.name for each in theirs]
    if task is not None:
        note = cut("\n".join([task.note, *lines]), Task.note)
        await do_change_task(session, task, now, context.people, actor=None, why=title, title=title, note=note)
        return task
    said = ", ".join(lines[:TITLES_SAID]) + (" …" if len(lines) > TITLES_SAID else "")
    new = TaskDraft(
        TaskKind.CONTROL if any(each.step.what == StepKind.CONTROL for each in theirs) else TaskKind.LAMP,
        title,
        reason("lamp.digest", titles=said),
        now,
        user_id,
        about=about,
        note=cut("\n".join(lines), Task.note),
    )
    return await do_create_task(session, new, now, context.people)


@dataclass(frozen=True, slots=True)
class LampEnding:
    """Why lamps go out and by whose work. ``decision``, ``note`` and ``actor`` are set when a manager decided it."""

    why: Reason
    by_id: int | None = None
    decision: Decision = Decision.NONE
    note: str = ""
    actor: Viewer | None = None
    look_again_at: datetime | None = None  # a manager accepts the delay until then


async def put_out(
    session: AsyncSession, context: EngineContext, lamps: Sequence[Lamp], outcome: LampEnding, now: datetime
) -> None:
    """Put out lamps and close their tasks; a shared task is closed with its last lamp."""
    for lamp in lamps:
        lamp.state, lamp.out_at, lamp.out_by_id = LampState.OUT.value, now, outcome.by_id
        lamp.out_reason, lamp.version = outcome.why.stored(), lamp.version + 1
        if lamp.is_escalation:
            lamp.decision, lamp.note = outcome.decision.value, outcome.note
            lamp.look_again_at = outcome.look_again_at
        _record_out(session, lamp, outcome, now)
        say_lamp_changed(session, lamp, now, context.people)
    await session.flush()
    for lamp in lamps:
        await _close_tasks(session, context, lamp, outcome, now)


def _record_out(session: AsyncSession, lamp: Lamp, outcome: LampEnding, now: datetime) -> None:
    is_deal = lamp.subject == Subject.DEAL
    if not (is_deal or lamp.is_escalation):
        return
    if outcome.decision is Decision.REASSIGNED and outcome.actor is not None:
        return  # logged by the act itself, with what is needed to undo it
    action = f"escalation.{outcome.decision.value or 'closed'}" if lamp.is_escalation else "deal.lamp_out"
    entity, entity_id = ("deal", lamp.deal_id) if is_deal else ("callback", lamp.callback_id)
    record(
        session, now, action, entity, entity_id, actor=outcome.actor, reason=outcome.why, lamp=lamp.id, by=outcome.by_id
    )


async def _close_tasks(
    session: AsyncSession, context: EngineContext, lamp: Lamp, outcome: LampEnding, now: datetime
) -> None:
    about = about_of(lamp)
    rows = await session.exec(
        select(Task).where(col(Task.about).in_([about, f"{about}{JOINT_SUFFIX}"]), Task.status == TaskStatus.OPEN.value)
    )
    found = rows.all()
    shared = await session.get(Task, lamp.task_id) if not found and lamp.task_id is not None else None
    if shared is not None:
        await recount_shared(session, context, shared, outcome.why, now, by_id=outcome.by_id)
    for task in found:
        await do_close_task(session, task, now, context.people, result=outcome.why, actor=None, by_id=outcome.by_id)


async def undo_state_of_lamp(session: AsyncSession, lamp: Lamp) -> dict[str, Any]:
    """The state of a burning lamp and its open tasks as JSON, for ``relight`` when the work that puts it out is undone."""
    return {
        "lamp": lamp.id,
        "tasks": [{"id": task.id, **undo_state_of(task)} for task in await _open_tasks(session, lamp)],
    }


async def undo_state_before(session: AsyncSession, lamp: Lamp) -> dict[str, Any]:
    """The same for a lamp that is out: its state before, with the tasks that were closed with it."""
    about = about_of(lamp)
    rows = await session.exec(
        select(Task).where(col(Task.about).in_([about, f"{about}{JOINT_SUFFIX}"]), Task.done_at == lamp.out_at)
    )
    is_open: dict[str, Any] = {
        "status": TaskStatus.OPEN.value,
        "result": "",
        "result_code": {},
        "done_by_id": None,
        "done_at": None,
    }
    return {"lamp": lamp.id, "tasks": [{"id": task.id, **undo_state_of(task), **is_open} for task in rows.all()]}


async def relight(
    session: AsyncSession,
    context: EngineContext,
    standing: Mapping[str, Any],
    viewer: Viewer | None,
    now: datetime,
    why: Reason | None = None,
) -> None:
    """Light a lamp again from the state of ``undo_state_of_lamp``. Does nothing if the lamp is deleted or not out.

    ``why``: the reason if nobody (``viewer``) did it by hand.
    """
    lamp = await session.get(Lamp, standing["lamp"])
    if lamp is None or lamp.state != LampState.OUT:
        return
    shared = await session.get(Task, lamp.task_id) if lamp.task_id is not None and not standing["tasks"] else None
    if shared is not None and shared.done_at is not None and shared.done_at == lamp.out_at:  # it ended with this lamp
        do_open_task(shared)
        record(session, now, "task.restored", "task", shared.id, actor=viewer, reason=why)
        await say_task_changed(session, shared, now, context.people)
    lamp.state, lamp.out_at, lamp.out_by_id, lamp.out_reason = LampState.BURNING.value, None, None, {}
    lamp.decision, lamp.look_again_at, lamp.version = Decision.NONE.value, None, lamp.version + 1
    for kept in standing["tasks"]:
        task = await session.get(Task, kept["id"])
        if task is not None:
            await do_restore_task(session, task, kept, now, context.people, actor=viewer, why=why)
    if shared is not None:
        await session.flush()
        await recount_shared(session, context, shared, reason("lamp.out_undone"), now)
    say_lamp_changed(session, lamp, now, context.people)


async def _open_tasks(session: AsyncSession, lamp: Lamp) -> list[Task]:
    """The open tasks of this lamp, without a shared one."""
    about = about_of(lamp)
    rows = await session.exec(
        select(Task).where(col(Task.about).in_([about, f"{about}{JOINT_SUFFIX}"]), Task.status == TaskStatus.OPEN.value)
    )
    return list(rows.all())


async def hand_over_lamp(session: AsyncSession, context: EngineContext, each: DueLamp, now: datetime) -> None:
    """Pass a burning lamp to the new responsible person (``each.subject.owner_id``), for whom the reaction pause restarts."""
    lamp, owner_id = each.lamp, each.subject.owner_id
    asked = addressee_of(context, each.step.whom, owner_id, now, each.subject.kind)
    say_lamp_changed(session, lamp, now, context.people)  # notifies the previous audience
    lamp.owner_id, lamp.addressee_id, lamp.asked_at, lamp.version = owner_id, asked.user_id, now, lamp.version + 1
    lamp.instead_of_id = asked.instead_of_id
    why = Reason("lamp.given", {"who": context.people.name(asked.user_id)}, asked.why)
    await _pass_tasks(session, context, each, why, now)
    say_lamp_changed(session, lamp, now, context.people)


async def _pass_tasks(session: AsyncSession, context: EngineContext, each: DueLamp, why: Reason, now: datetime) -> None:
    """Give the task of the lamp to its addressee, and the joint one to the responsible person. A lamp of a shared task, which stays
    with whom it was given, gets a task of its own.
    """
    lamp, about = each.lamp, about_of(each.lamp)
    responsible = addressee_of(context, RESPONSIBLE, each.subject.owner_id, now, each.subject.kind)
    lamp.half_instead_of_id = None
    for task in await _open_tasks(session, lamp):
        to = lamp.addressee_id if task.about == about else responsible.user_id
        if task.about != about:
            lamp.half_instead_of_id = responsible.instead_of_id
        title = title_with(task, "" if task.about == about else context.people.name(lamp.addressee_id))
        await do_change_task(session, task, now, context.people, actor=None, why=why, title=title, assignee_id=to)
    shared = await session.get(Task, lamp.task_id) if lamp.task_id is not None else None
    if shared is None or not shared.about.startswith(ABOUT_DIGEST):
        return
    own = await do_create_task(session, _task_of(each, now), now, context.people)
    lamp.task_id = own.id
    await session.flush()
    await recount_shared(session, context, shared, why, now)


async def recount_shared(
    session: AsyncSession, context: EngineContext, shared: Task, why: Reason, now: datetime, *, by_id: int | None = None
) -> None:
    """A shared task says how many of its lamps still burn, and ends with the last of them; ``why``: what one of them changed by."""
    left = await _still_burning(session, shared)
    if not left:
        await do_close_task(session, shared, now, context.people, result=why, actor=None, by_id=by_id)
    elif shared.about.startswith(ABOUT_DIGEST) and shared.status == TaskStatus.OPEN:
        title = reason("task.lamp_digest", count=left)
        await do_change_task(session, shared, now, context.people, actor=None, why=why, title=title)


async def _still_burning(session: AsyncSession, task: Task) -> int:
    query = select(func.count()).select_from(Lamp).where(Lamp.task_id == task.id, is_burning())
    return (await session.exec(query)).one()
