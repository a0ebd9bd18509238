"""Joint tasks of two people: whoever does one half does it for both."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import do_close_task, do_open_task, say_task_changed
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.rules import ABOUT_JOINT


async def other_half(session: AsyncSession, task: Task) -> Task | None:
    """The other half of a joint task, open or not; None for any other task."""
    if task.about.startswith(ABOUT_JOINT):
        return await session.get(Task, task.part_of_id)
    if task.stage_task_id is None:
        return None
    return (await session.exec(select(Task).where(Task.about == f"{ABOUT_JOINT}{task.id}"))).first()


async def do_close_other_half(
    session: AsyncSession, task: Task, now: datetime, people: Directory, *, actor: Viewer
) -> None:
    """Close the other half of a task that was just finished or cancelled by ``actor``."""
    other = await other_half(session, task)
    if other is not None and other.status == TaskStatus.OPEN:
        said = reason("stage_task.done_jointly", who=actor.name)
        cancelled = task.status == TaskStatus.CANCELLED
        await do_close_task(
            session, other, now, people, result=said, actor=None, by_id=actor.user_id, cancelled=cancelled
        )


async def do_reopen_other_half(
    session: AsyncSession, task: Task, closed_at: datetime, now: datetime, people: Directory, *, actor: Viewer
) -> None:
    """Reopen the other half, if it was closed together with ``task`` at ``closed_at``."""
    other = await other_half(session, task)
    if other is None or other.status == TaskStatus.OPEN or other.done_at != closed_at:
        return
    do_open_task(other)
    record(session, now, "task.reopened", "task", other.id, actor=actor)
    await say_task_changed(session, other, now, people)
