"""Finishing and reopening tasks, and creating the next task of a repeated one."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import NotAllowed
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.actions import (
    access_task_for_change,
    do_close_task,
    do_comment,
    do_open_task,
    do_say_planned,
    do_take_back_task,
    say_task_changed,
)
from pbxcrm.tasks.joint_actions import do_close_other_half, do_reopen_other_half
from pbxcrm.tasks.models import Repeat, Task, TaskAct, TaskKind, TaskStatus
from pbxcrm.tasks.rules import check_ticked, may_reopen, next_repetition
from pbxcrm.tasks.work_queries import check_not_of_work


async def finish_task(
    session: AsyncSession,
    viewer: Viewer,
    task_id: int,
    *,
    result: str,
    now: datetime,
    version: int | None = None,
    cancelled: bool = False,
) -> Task:
    """Finish or cancel a task. Raises Conflict for tasks that only work can end (callback, lamp, escalation).

    Raises Invalid while a required item of the checklist is not ticked. Finishing a repeated task creates the next one; cancelling it
    ends the repetition.
    """
    task = await access_task_for_change(session, viewer, task_id, version)
    await check_not_of_work(session, task)
    if not cancelled:
        check_ticked(task)
    if task.status != TaskStatus.OPEN:
        return task
    people = await load_directory(session)
    if task.kind == TaskKind.ASSIGNMENT and not cancelled:
        task.accepted_at = task.accepted_at or now
        do_comment(session, task, now, author_id=viewer.user_id, text=result, act=TaskAct.DONE)
        if viewer.user_id == task.given_by_id:  # the giver did it, so nobody needs to check it
            task.checked_at, task.checked_by_id = now, viewer.user_id
    await do_close_task(
        session,
        task,
        now,
        people,
        result=check_optional_text(result, Task.result, "result"),
        actor=viewer,
        cancelled=cancelled,
    )
    await do_close_other_half(session, task, now, people, actor=viewer)
    if task.repeat and not cancelled:
        await _make_next(session, viewer, task, now, people)
    return task


async def _make_next(session: AsyncSession, viewer: Viewer, task: Task, now: datetime, people: Directory) -> None:
    """Create the next of a repeated task, unless it exists."""
    if await following_task(session, task) is not None:
        return
    working = (await load_calendars(session, people)).of_user(task.assignee_id)
    due_at = next_repetition(Repeat(task.repeat), task.first_due_at or task.due_at, now, working, task.repeat_day)
    following = Task(
        kind=task.kind,
        title=task.title,
        note=task.note,
        due_at=due_at,
        assignee_id=task.assignee_id,
        deal_id=task.deal_id,
        contact_id=task.contact_id,
        created_by_id=task.created_by_id,
        created_at=now,
        instruction=task.instruction,
        checklist=checklist_rules.unticked(task.checklist),
        repeat=task.repeat,
        repeat_day=task.repeat_day,
        follows_id=task.id,
        given_by_id=task.given_by_id,
    )
    session.add(following)
    await session.flush()
    record(session, now, "task.created", "task", following.id, actor=viewer, follows_id=task.id)
    await say_task_changed(session, following, now, people)
    await do_say_planned(session, following, now)


async def following_task(session: AsyncSession, task: Task) -> Task | None:
    """The next of a repeated task; None if it was not created yet."""
    return (await session.exec(select(Task).where(Task.follows_id == task.id))).first()


async def reopen_task(session: AsyncSession, viewer: Viewer, task_id: int, *, now: datetime) -> Task:
    """Undo ``finish_task``. A next task that it created is deleted if nobody has changed it.

    Raises NotAllowed for a checked assignment and who may not check it, Conflict, NotFound.
    """
    task = await access_task_for_change(session, viewer, task_id, None)
    await check_not_of_work(session, task)
    if task.status == TaskStatus.OPEN:
        return task
    if not may_reopen(viewer, task):
        raise NotAllowed(
            "tasks.reopen_checked",
            "This assignment was checked: only whoever gave it, or a manager, opens it again.",
        )
    people = await load_directory(session)
    following = await following_task(session, task) if task.repeat else None
    if following is not None and following.status == TaskStatus.OPEN:
        await do_take_back_task(session, following, now, people, actor=viewer)
    if task.done_at is not None:
        await do_reopen_other_half(session, task, task.done_at, now, people, actor=viewer)
    do_open_task(task)
    record(session, now, "task.reopened", "task", task_id, actor=viewer)
    await say_task_changed(session, task, now, people)
    await do_say_planned(session, task, now)
    return task
