"""The states of an assignment: the assignee accepts it, the giver or a manager checks or returns it."""

from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, NotAllowed
from pbxcrm.shared.lengths import check_text
from pbxcrm.tasks.actions import access_task_for_change, do_comment, do_set_task
from pbxcrm.tasks.models import Task, TaskAct, TaskComment, TaskKind, TaskStatus
from pbxcrm.tasks.rules import Progress, may_accept, may_judge, progress_of


async def accept_task(
    session: AsyncSession, viewer: Viewer, task_id: int, *, now: datetime, version: int | None = None
) -> Task:
    """The assignee accepts the assignment; does nothing if it is accepted already. Raises NotAllowed, Conflict, NotFound."""
    task = await _assignment(session, viewer, task_id, version)
    if progress_of(task) is Progress.ACCEPTED:
        return task
    if task.assignee_id != viewer.user_id:
        raise NotAllowed("tasks.accept_other", "Only whoever was given the assignment accepts it.")
    if not may_accept(viewer, task):
        raise Conflict("tasks.accept_closed", "The assignment is over already.")
    new = {"accepted_at": now, "returned_at": None}
    await do_set_task(session, task, now, await load_directory(session), new, actor=viewer, action="task.accepted")
    do_comment(session, task, now, author_id=viewer.user_id, text="", act=TaskAct.ACCEPTED)
    return task


async def approve_task(
    session: AsyncSession, viewer: Viewer, task_id: int, *, now: datetime, version: int | None = None, text: str = ""
) -> Task:
    """The giver or a manager confirms that it is done well. Raises NotAllowed, Conflict, NotFound."""
    task = await _to_judge(session, viewer, task_id, version, Progress.CHECKED)
    if progress_of(task) is Progress.CHECKED:
        return task
    new = {"checked_at": now, "checked_by_id": viewer.user_id}
    await do_set_task(session, task, now, await load_directory(session), new, actor=viewer, action="task.checked")
    do_comment(session, task, now, author_id=viewer.user_id, text=text, act=TaskAct.CHECKED)
    return task


async def return_task(
    session: AsyncSession,
    viewer: Viewer,
    task_id: int,
    *,
    text: str,
    now: datetime,
    version: int | None = None,
    due_at: datetime | None = None,
) -> Task:
    """The giver or a manager reopens it with what is still to be done, due at ``due_at`` or as before. Raises as ``approve_task``."""
    task = await _to_judge(session, viewer, task_id, version, Progress.RETURNED)
    if progress_of(task) is Progress.RETURNED:
        return task
    text = check_text(text, TaskComment.text, "text", "tasks.return_text", "Say what is still to be done.")
    new: dict[str, Any] = {
        "status": TaskStatus.OPEN.value,
        "returned_at": now,
        "result": "",
        "result_code": {},
        "done_at": None,
        "done_by_id": None,
        **({"due_at": due_at} if due_at is not None else {}),
    }
    await do_set_task(session, task, now, await load_directory(session), new, actor=viewer, action="task.returned")
    do_comment(session, task, now, author_id=viewer.user_id, text=text, act=TaskAct.RETURNED)
    return task


async def _assignment(session: AsyncSession, viewer: Viewer, task_id: int, version: int | None) -> Task:
    task = await access_task_for_change(session, viewer, task_id, version)
    if task.kind != TaskKind.ASSIGNMENT:
        raise Conflict("tasks.no_assignment", "This is no assignment: nobody gave it to somebody else.")
    return task


async def _to_judge(
    session: AsyncSession, viewer: Viewer, task_id: int, version: int | None, already: Progress
) -> Task:
    task = await _assignment(session, viewer, task_id, version)
    progress = progress_of(task)
    if progress is already or may_judge(viewer, task):
        return task
    if progress is not Progress.DONE:
        raise Conflict("tasks.not_done", "The assignment is not done yet, or was checked already.")
    raise NotAllowed("tasks.judge_other", "Only whoever gave the assignment, or a manager, checks it.")
