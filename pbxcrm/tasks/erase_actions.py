"""Takes a client who is erased out of tasks: their words, not the fact that there was a task."""

from sqlalchemy import delete, or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details
from pbxcrm.contacts.hooks import GONE, Erasing
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows
from pbxcrm.tasks.actions import say_task_changed
from pbxcrm.tasks.models import Task, TaskComment


async def erase_from_tasks(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``: dates, people and states of the tasks stay. One on another client's deal only loses the client."""
    held, people = erasing.held, await load_directory(session)
    about = or_(one_of(session, col(Task.id), held.tasks), one_of(session, col(Task.contact_id), held.contacts))
    for task in await lock_rows(session, Task, about):
        await say_task_changed(session, task, erasing.at, people)
        if task.id in held.tasks:
            task.title, task.title_code, task.note, task.instruction, task.checklist = GONE, {}, "", "", []
            task.result, task.result_code, task.reason, task.about = "", {}, dict(erasing.why), ""
        task.contact_id = None
        task.version += 1
    comments = delete(TaskComment).where(one_of(session, col(TaskComment.task_id), held.tasks))
    await session.exec(comments.execution_options(synchronize_session=False))
    await do_forget_details(session, "task", held.tasks)
