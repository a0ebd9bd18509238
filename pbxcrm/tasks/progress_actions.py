"""Small actions on a task (tick an item, postpone it with a reason, plan it, comment) and their undo."""

from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.models import AuditEntry
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_text
from pbxcrm.shared.locking import lock_row
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.actions import (
    access_task_for_change,
    do_comment,
    do_set_task,
    do_signal_postponed,
    do_take_back_task,
    say_task_changed,
)
from pbxcrm.tasks.models import Task, TaskAct, TaskComment, TaskStatus
from pbxcrm.tasks.queries import access_task
from pbxcrm.tasks.rules import ABOUT_POSTPONED, SIGNALLED_EACH
from pbxcrm.tasks.work_queries import check_not_of_work

UNDONE = (
    "task.edited",
    "task.ticked",
    "task.snoozed",
    "task.accepted",
    "task.checked",
    "task.returned",
    "task.planned",
)
_TIMES = frozenset({"due_at", "first_due_at", "snoozed_until", "accepted_at", "checked_at", "returned_at", "done_at"})


async def _open_for_change(
    session: AsyncSession, viewer: Viewer, task_id: int, version: int | None, *, also_of_work: bool = False
) -> Task:
    """The open task, locked. Raises Conflict if it is closed, stale, or (unless ``also_of_work``) ends by work only."""
    task = await access_task_for_change(session, viewer, task_id, version)
    if not also_of_work:
        await check_not_of_work(session, task)
    if task.status != TaskStatus.OPEN:
        raise Conflict("tasks.closed", "The task is closed. Open it again first.")
    return task


async def tick_item(
    session: AsyncSession,
    viewer: Viewer,
    task_id: int,
    position: int,
    *,
    done: bool,
    now: datetime,
    version: int | None = None,
) -> Task:
    """Tick or untick the item of the checklist at ``position`` (from 0). Raises Invalid, Conflict."""
    task = await _open_for_change(session, viewer, task_id, version, also_of_work=True)
    items = checklist_rules.ticked(task.checklist, position, done=done)
    people = await load_directory(session)
    await do_set_task(session, task, now, people, {"checklist": items}, actor=viewer, action="task.ticked")
    return task


async def snooze_task(
    session: AsyncSession,
    viewer: Viewer,
    task_id: int,
    *,
    until: datetime,
    why: str,
    now: datetime,
    version: int | None = None,
) -> Task:
    """Postpone a task to a later time for the reason ``why``. Every third time the manager gets a control task."""
    task = await _open_for_change(session, viewer, task_id, version)
    why = check_text(why, TaskComment.text, "reason", "tasks.snooze_why", "Say why it is put off.")
    if until <= now or until <= task.due_at:
        raise Invalid("until", "tasks.snooze_until", "Choose a later time than the present deadline.")
    people = await load_directory(session)
    new = {"due_at": until, "snoozed_until": until, "postponed": task.postponed + 1}
    await do_set_task(session, task, now, people, new, actor=viewer, action="task.snoozed")
    do_comment(session, task, now, author_id=viewer.user_id, text=why, act=TaskAct.SNOOZED)
    await do_signal_postponed(session, task, now, people)
    return task


async def plan_task(
    session: AsyncSession, viewer: Viewer, task_id: int, *, due_at: datetime, now: datetime, version: int | None = None
) -> Task:
    """Move a task to an earlier time, which is not past. Raises Invalid at ``due_at`` for a time that is, and at ``reason`` for a
    later one: that is to put it off (``snooze_task``).
    """
    task = await _open_for_change(session, viewer, task_id, version)
    if due_at <= now:
        raise Invalid("due_at", "tasks.past", "Choose a time that is still to come.")
    if due_at > task.due_at:
        raise Invalid("reason", "tasks.snooze_why", "Say why it is put off.")
    people = await load_directory(session)
    new = {"due_at": due_at, "snoozed_until": None}
    await do_set_task(session, task, now, people, new, actor=viewer, action="task.planned")
    return task


async def comment_task(session: AsyncSession, viewer: Viewer, task_id: int, *, text: str, now: datetime) -> TaskComment:
    """Add to the thread of a task one sees: whoever asked for something may say more about it."""
    check(viewer, Permission.TASKS_EDIT)
    await access_task(session, viewer, task_id)
    task = await lock_row(session, Task, task_id)
    text = check_text(text, TaskComment.text, "text", "tasks.comment", "Write something, in up to {most} characters.")
    comment = do_comment(session, task, now, author_id=viewer.user_id, text=text)
    await session.flush()
    await say_task_changed(session, task, now, await load_directory(session))
    return comment


async def undo_act(session: AsyncSession, viewer: Viewer, task_id: int, version: int, *, now: datetime) -> Task:
    """Undo the viewer's own last action on a task, which produced ``version``. Raises Conflict if it has changed since."""
    task = await access_task_for_change(session, viewer, task_id, version)
    found = await session.exec(
        select(AuditEntry)
        .where(
            AuditEntry.entity == "task",
            AuditEntry.entity_id == str(task_id),
            AuditEntry.actor_id == viewer.user_id,
            col(AuditEntry.action).in_(UNDONE),
        )
        .order_by(col(AuditEntry.id).desc())
        .limit(1)
    )
    entry = found.first()
    if entry is None or entry.data.get("version") != version:
        raise Conflict("tasks.no_undo", "There is nothing to be taken back: the task was changed since.")
    before: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in _TIMES and value else value
        for name, value in entry.data["before"].items()
    }
    people = await load_directory(session)
    if "postponed" in before and task.postponed % SIGNALLED_EACH == 0:
        signal = await session.exec(select(Task).where(Task.about == f"{ABOUT_POSTPONED}{task.id}"))
        for each in signal.all():
            if each.status == TaskStatus.OPEN:
                await do_take_back_task(session, each, now, people, actor=viewer)
    await do_set_task(session, task, now, people, before, actor=viewer, action="task.restored")
    comment = await session.exec(
        select(TaskComment)
        .where(TaskComment.task_id == task.id, TaskComment.author_id == viewer.user_id, TaskComment.at == entry.at)
        .order_by(col(TaskComment.id).desc())
    )
    for said in comment.all():
        if said.act:
            await session.delete(said)
    return task
