"""Changing tasks. No other module writes their columns. The ``do_…`` functions do not check access; the others check it first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.contacts.hooks import Relinked
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.people.queries import access_worker
from pbxcrm.shared import reasons
from pbxcrm.shared.core_sql import add_rows, list_param
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_optional_text, cut
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.audience import audience_of_task
from pbxcrm.tasks.hooks import next_task_changed
from pbxcrm.tasks.models import Repeat, Task, TaskAct, TaskComment, TaskKind, TaskStatus
from pbxcrm.tasks.queries import access_task, edits_task
from pbxcrm.tasks.rules import (
    ABOUT_NEXT_ATTEMPT,
    ABOUT_POSTPONED,
    MADE_BY_HAND,
    SIGNALLED_EACH,
    check_title,
)
from pbxcrm.tasks.work_queries import check_not_of_work


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task that the product creates. ``title`` is translated when shown; ``why`` says why it exists and who has it."""

    kind: TaskKind
    title: Reason
    why: Reason
    due_at: datetime
    assignee_id: int | None
    deal_id: int | None = None
    contact_id: int | None = None
    call_id: int | None = None
    part_of_id: int | None = None  # the parent task: lists show both as one
    about: str = ""  # a key; while a task with the same key is open, no second one is created
    note: str = ""
    instruction: str = ""
    checklist: tuple[checklist_rules.Item, ...] = ()
    stage_task_id: int | None = None  # the stage's automatic task, and the move for which it was created
    stage_move_id: int | None = None


async def do_create_task(session: AsyncSession, new: TaskDraft, at: datetime, people: Directory) -> Task:
    """Create the task, or return the open one with the same ``about``. The caller must have checked access."""
    return (await do_create_tasks(session, [new], at, people))[0]


async def do_create_tasks(
    session: AsyncSession, new: Sequence[TaskDraft], at: datetime, people: Directory
) -> list[Task]:
    """The same as ``do_create_task`` for many tasks with different ``about``, in one query and one insert. Keeps the order."""
    open_about: dict[str, Task] = {}
    if about := [each.about for each in new if each.about]:
        found = await session.exec(_OPEN_ABOUT, params={"about": about})
        open_about = {task.about: task for task in reversed(found.all())}
    tasks = [open_about.get(each.about) or _task_of(each, at) for each in new]
    made = [(each, task) for each, task in zip(new, tasks, strict=True) if task.id is None]
    await add_rows(session, *(task for _, task in made))
    for each, task in made:
        record(session, at, "task.created", "task", task.id, actor=None, reason=each.why, deal_id=each.deal_id)
        await say_task_changed(session, task, at, people)
        await do_say_planned(session, task, at)
    return tasks


_OPEN_ABOUT = (
    select(Task)
    .where(col(Task.about).in_(list_param("about")), Task.status == TaskStatus.OPEN.value)
    .order_by(col(Task.id))
)


def _task_of(new: TaskDraft, at: datetime) -> Task:
    return Task(
        kind=new.kind.value,
        title=cut(reasons.text(new.title), Task.title),
        title_code=new.title.stored(),
        due_at=new.due_at,
        assignee_id=new.assignee_id,
        deal_id=new.deal_id,
        contact_id=new.contact_id,
        call_id=new.call_id,
        part_of_id=new.part_of_id,
        about=new.about,
        note=cut(new.note, Task.note),
        instruction=cut(new.instruction, Task.instruction),
        checklist=[dict(each) for each in new.checklist],
        stage_task_id=new.stage_task_id,
        stage_move_id=new.stage_move_id,
        reason=new.why.stored(),
        created_at=at,
    )


async def do_close_task(
    session: AsyncSession,
    task: Task,
    at: datetime,
    people: Directory,
    *,
    result: str | Reason,
    actor: Viewer | None,
    by_id: int | None = None,
    cancelled: bool = False,
) -> None:
    """Close an open task; does nothing for a closed one. ``result``: what somebody typed, or the reason of an automatic change.

    ``by_id``: whose work closed it, if nobody (``actor``) closed it by hand.
    """
    if task.status != TaskStatus.OPEN:
        return
    task.status = TaskStatus.CANCELLED.value if cancelled else TaskStatus.DONE.value
    why = result if isinstance(result, Reason) else None
    task.result = cut(result if isinstance(result, str) else reasons.text(result), Task.result)
    task.result_code = why.stored() if why is not None else {}
    task.done_at, task.done_by_id = at, actor.user_id if actor else by_id
    task.version += 1
    record(
        session,
        at,
        "task.closed",
        "task",
        task.id,
        actor=actor,
        reason=why,
        result=task.result,
        status=task.status,
        deal_id=task.deal_id,
    )
    await say_task_changed(session, task, at, people)
    await do_say_planned(session, task, at)


def do_open_task(task: Task) -> None:
    """Reopen a closed task. The caller must record it and emit the change."""
    task.status, task.result, task.result_code = TaskStatus.OPEN.value, "", {}
    task.done_at = task.done_by_id = task.checked_at = task.checked_by_id = None
    task.version += 1


async def do_change_task(
    session: AsyncSession,
    task: Task,
    at: datetime,
    people: Directory,
    *,
    actor: Viewer | None,
    why: Reason | None = None,
    title: str | Reason | None = None,
    due_at: datetime | None = None,
    assignee_id: int | None = None,
    note: str | None = None,
    explained: dict[str, Any] | None = None,
    about: str | None = None,
) -> bool:
    """Change the given values that differ, and record the previous ones in the audit log. Returns whether anything changed.

    ``why``: the reason of an automatic change. ``title``: what somebody typed, or a reason that is translated when shown. ``explained``: the
    stored reason why the task exists. ``about``: the key of which only one task is open.
    """
    given = {"due_at": due_at, "assignee_id": assignee_id, "note": note, "reason": explained, "about": about}
    new = {name: value for name, value in given.items() if value is not None}
    if isinstance(title, Reason):
        new |= {"title": cut(reasons.text(title), Task.title), "title_code": title.stored()}
    elif title is not None:
        new["title"] = title
    return await do_set_task(session, task, at, people, new, actor=actor, why=why)


async def do_set_task(
    session: AsyncSession,
    task: Task,
    at: datetime,
    people: Directory,
    new: Mapping[str, Any],  # columns of any kind
    *,
    actor: Viewer | None,
    action: str = "task.edited",
    why: Reason | None = None,
) -> bool:
    """Set the columns of ``new`` that differ, and record the previous values. Returns whether anything changed.

    A title without its ``title_code`` is what somebody typed, which nobody translates.
    """
    if new.get("title", task.title) != task.title:
        new = {"title_code": {}, **new}
    before: dict[str, Any] = {}
    for name, value in new.items():
        was = getattr(task, name)
        if value != was:
            before[name] = was.isoformat() if isinstance(was, datetime) else was
            if name == "due_at" and task.first_due_at is None:
                task.first_due_at = was
            setattr(task, name, value)
    if not before:
        return False
    task.version += 1
    record(session, at, action, "task", task.id, actor=actor, reason=why, before=before, version=task.version)
    await say_task_changed(session, task, at, people, before.get("assignee_id"))
    if before.keys() & {"due_at", "status"}:
        await do_say_planned(session, task, at)
    return True


def do_comment(
    session: AsyncSession, task: Task, at: datetime, *, author_id: int | None, text: str, act: TaskAct = TaskAct.SAID
) -> TaskComment:
    """Add a comment to the thread of a task. The caller must emit that the task changed."""
    assert task.id is not None
    comment = TaskComment(
        task_id=task.id, act=act.value, text=cut(text.strip(), TaskComment.text), author_id=author_id, at=at
    )
    session.add(comment)
    return comment


_STANDING = ("title", "title_code", "status", "result", "result_code", "done_by_id")
_STANDING_TIMES = ("due_at", "done_at")


def undo_state_of(task: Task) -> dict[str, Any]:
    """The state of a task as JSON, for ``do_restore_task`` when the next change is undone."""
    found: dict[str, Any] = {name: getattr(task, name) for name in _STANDING}
    for name in _STANDING_TIMES:
        moment: datetime | None = getattr(task, name)
        found[name] = moment.isoformat() if moment is not None else None
    return found


async def do_restore_task(
    session: AsyncSession,
    task: Task,
    standing: dict[str, Any],
    at: datetime,
    people: Directory,
    *,
    actor: Viewer | None,
    why: Reason | None = None,
) -> None:
    """Restore the state that ``undo_state_of`` returned. ``why``: the reason if nobody (``actor``) did it by hand."""
    for name in _STANDING:
        setattr(task, name, standing[name])
    for name in _STANDING_TIMES:
        text = standing[name]
        setattr(task, name, datetime.fromisoformat(text) if text else None)
    task.version += 1
    record(session, at, "task.restored", "task", task.id, actor=actor, reason=why)
    await say_task_changed(session, task, at, people)
    await do_say_planned(session, task, at)


async def do_take_back_task(
    session: AsyncSession, task: Task, at: datetime, people: Directory, *, actor: Viewer
) -> bool:
    """Delete a task that was just created. Returns False, without deleting it, if it has been changed since."""
    if task.version != 1:
        return False
    await say_task_changed(session, task, at, people)
    record(session, at, "task.taken_back", "task", task.id, actor=actor, title=task.title)
    await session.delete(task)
    await do_say_planned(session, task, at)
    return True


async def create_task(
    session: AsyncSession,
    viewer: Viewer,
    *,
    title: str,
    due_at: datetime,
    now: datetime,
    assignee_id: int | None = None,
    deal_id: int | None = None,
    contact_id: int | None = None,
    note: str = "",
    kind: TaskKind = TaskKind.TODO,
    instruction: str = "",
    checklist: list[checklist_rules.Item] | None = None,
    repeat: Repeat = Repeat.NEVER,
) -> Task:
    """Create a task by hand. Raises Invalid at the wrong field, NotFound for a deal or client that the viewer may not see."""
    check(viewer, Permission.TASKS_EDIT)
    title = check_title(title)
    if kind not in MADE_BY_HAND:
        raise Invalid("kind", "tasks.kind", "Only to-dos and assignments are made by hand.")
    if deal_id is not None:
        deal = await access_deal(session, viewer, deal_id)
        contact_id = contact_id if contact_id is not None else deal.contact_id
    if contact_id is not None:  # also with a deal: a task about a client gives access to the client
        contact_id = (await access_contact(session, viewer, contact_id)).id
    assignee = await _access_doer(session, viewer, assignee_id if assignee_id is not None else viewer.user_id)
    task = Task(
        kind=kind.value,
        title=title,
        note=check_optional_text(note, Task.note, "note"),
        due_at=due_at,
        assignee_id=assignee.id,
        deal_id=deal_id,
        contact_id=contact_id,
        created_by_id=viewer.user_id,
        created_at=now,
        instruction=check_optional_text(instruction, Task.instruction, "instruction"),
        checklist=checklist_rules.check_items(checklist or ()),
        given_by_id=viewer.user_id if assignee.id != viewer.user_id or kind is TaskKind.ASSIGNMENT else None,
    )
    people = await load_directory(session)
    task.repeat, task.repeat_day = repeat.value, await _repeat_day(session, task, repeat, people)
    session.add(task)
    await session.flush()
    if task.kind == TaskKind.ASSIGNMENT:
        do_comment(session, task, now, author_id=viewer.user_id, text="", act=TaskAct.GIVEN)
    record(session, now, "task.created", "task", task.id, actor=viewer, deal_id=deal_id)
    await say_task_changed(session, task, now, people)
    await do_say_planned(session, task, now)
    return task


async def _access_doer(session: AsyncSession, viewer: Viewer, user_id: int) -> User:
    """Somebody to whom the viewer may give a task and whose role can do one. Raises Invalid at ``assignee_id``."""
    return await access_worker(session, viewer, user_id, field="assignee_id", permission=Permission.TASKS_EDIT)


async def _repeat_day(session: AsyncSession, task: Task, repeat: Repeat, people: Directory) -> int | None:
    """The day of the month of a monthly task, in the assignee's time zone; None for other tasks."""
    if repeat is not Repeat.MONTHLY:
        return None
    working = (await load_calendars(session, people)).of_user(task.assignee_id)
    return task.due_at.astimezone(working.timezone).day


async def do_say_planned(session: AsyncSession, task: Task, at: datetime) -> None:
    """Call the hook ``next_task_changed`` for a task that a person has planned on a deal, and for the planned next attempt."""
    is_planned = task.created_by_id is not None or task.about.startswith(ABOUT_NEXT_ATTEMPT)
    if task.deal_id is not None and is_planned:
        await next_task_changed(session, task.deal_id, at)


async def edit_task(
    session: AsyncSession,
    viewer: Viewer,
    task_id: int,
    *,
    version: int | None,
    now: datetime,
    title: str | None = None,
    due_at: datetime | None = None,
    assignee_id: int | None = None,
    note: str | None = None,
    instruction: str | None = None,
    checklist: list[checklist_rules.Item] | None = None,
    repeat: Repeat | None = None,
) -> Task:
    """Change what is given. Whoever gives their task to somebody else has given an assignment, which starts over.

    Raises Conflict for a task that ends by work only: what it says, until when and whose it is are the engine's.
    """
    task = await access_task_for_change(session, viewer, task_id, version)
    await check_not_of_work(session, task)
    people = await load_directory(session)
    new: dict[str, Any] = {}
    if title is not None:
        new["title"] = check_title(title)
    if note is not None:
        new["note"] = check_optional_text(note, Task.note, "note")
    if instruction is not None:
        new["instruction"] = check_optional_text(instruction, Task.instruction, "instruction")
    if checklist is not None:
        new["checklist"] = checklist_rules.check_items(checklist)
    if due_at is not None:
        new["due_at"] = due_at
        if task.snoozed_until is not None:
            new["snoozed_until"] = None
    given = False
    if assignee_id is not None and assignee_id != task.assignee_id:
        given = True
        if task.contact_id is not None:  # the task gives its assignee access to the client
            await access_contact(session, viewer, task.contact_id, field="assignee_id")
        new["assignee_id"] = (await _access_doer(session, viewer, assignee_id)).id
        if task.kind in MADE_BY_HAND:
            new |= _given_on(viewer, task, new["assignee_id"])
    if repeat is not None and repeat.value != task.repeat:
        if task.kind not in MADE_BY_HAND:
            raise Invalid("repeat", "tasks.repeat", "Only to-dos and assignments are repeated.")
        new |= {"repeat": repeat.value, "repeat_day": await _repeat_day(session, task, repeat, people)}
    if task.status == TaskStatus.OPEN and due_at is not None and due_at > task.due_at:
        new["postponed"] = task.postponed + 1
    await do_set_task(session, task, now, people, new, actor=viewer)
    if new.get("kind") == TaskKind.ASSIGNMENT or (given and task.kind == TaskKind.ASSIGNMENT):
        words = people.name(task.assignee_id)
        do_comment(session, task, now, author_id=viewer.user_id, text=words, act=TaskAct.GIVEN)
    if "postponed" in new:
        await do_signal_postponed(session, task, now, people)
    return task


def _given_on(viewer: Viewer, task: Task, assignee_id: int) -> dict[str, Any]:
    """The columns that change when a task gets another assignee, who must accept it; the giver must check it."""
    if assignee_id == viewer.user_id:  # taken over, not given
        return {"accepted_at": None}
    return {
        "kind": TaskKind.ASSIGNMENT.value,
        "given_by_id": task.given_by_id if task.given_by_id not in {None, assignee_id} else viewer.user_id,
        "accepted_at": None,
        "returned_at": None,
    }


async def do_signal_postponed(session: AsyncSession, task: Task, at: datetime, people: Directory) -> None:
    """Each time a task has been postponed ``SIGNALLED_EACH`` more times, create a control task for the manager."""
    if task.postponed == 0 or task.postponed % SIGNALLED_EACH:
        return
    manager = people.manager_of(task.assignee_id)
    new = TaskDraft(
        kind=TaskKind.CONTROL,
        title=reason("task.postponed", title=task.title),
        why=reason("task.postponed_why", n=task.postponed, who=people.name(task.assignee_id)),
        due_at=at,
        assignee_id=manager.id if manager is not None else None,
        deal_id=task.deal_id,
        contact_id=task.contact_id,
        about=f"{ABOUT_POSTPONED}{task.id}",
    )
    await do_create_task(session, new, at, people)


async def access_task_for_change(session: AsyncSession, viewer: Viewer, task_id: int, version: int | None) -> Task:
    """The task, locked for this transaction. Raises NotAllowed where the viewer only sees it, Conflict when it is not the
    ``version`` they saw.
    """
    check(viewer, Permission.TASKS_EDIT)
    seen = await access_task(session, viewer, task_id)
    if not await edits_task(session, viewer, task_id):
        who = (await load_directory(session)).name(seen.assignee_id) or "—"
        raise NotAllowed("tasks.not_yours", "{who} has this task: only they, or whoever gave it, change it.", who=who)
    task = await lock_row(session, Task, task_id)
    if version is not None and task.version != version:
        raise Conflict("tasks.stale", "Somebody changed this task meanwhile. Look at it again before you change it.")
    return task


async def say_task_changed(
    session: AsyncSession, task: Task, at: datetime, people: Directory, *also: int | None
) -> None:
    """Notify everybody who sees the task, and everybody who answers for the people ``also`` (the previous assignee)."""
    deal = await session.get(Deal, task.deal_id) if task.deal_id is not None else None
    heard = audience_of_task(task, deal, people)
    emit(session, "task", task.id, at, users=heard.users | people.answering_for(*also), roles=heard.roles)
    if deal is not None:  # its card shows the next task and the lamp
        say_deal_changed(session, deal, at, people)


async def say_tasks_relinked(session: AsyncSession, relinked: Relinked) -> None:
    """Handler of ``rows_relinked``: open tasks have another client or deal now, so lists must show it."""
    ids = {*relinked.rows.get("tasks.contact_id", ()), *relinked.rows.get("tasks.deal_id", ())}
    people = await load_directory(session)
    found = await session.exec(select(Task).where(col(Task.id).in_(ids), Task.status == TaskStatus.OPEN.value))
    for task in found.all() if ids else ():
        await say_task_changed(session, task, relinked.at, people)
