"""What is read of tasks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, visible_tasks
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.rules import ended_by


@dataclass(frozen=True, slots=True)
class TaskRow:
    task: Task
    assignee: User | None
    deal: Deal | None
    contact: Contact | None

    @property
    def ended_by(self) -> str:
        return ended_by(self.task)


async def access_task(session: AsyncSession, viewer: Viewer, task_id: int) -> Task:
    found = (await session.exec(select(Task).where(Task.id == task_id, visible_tasks(viewer)))).first()
    if found is None:
        raise NotFound("tasks.not_found", "There is no such task, or it is a colleague's.")
    return found


async def access_task_row(session: AsyncSession, viewer: Viewer, task_id: int) -> TaskRow:
    return (await as_rows(session, [await access_task(session, viewer, task_id)]))[0]


async def list_tasks(
    session: AsyncSession,
    viewer: Viewer,
    *filters: ColumnElement[bool],
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[TaskRow]:
    """Earliest due first; ``after`` is (due_at, id) of the last one seen."""
    query = select(Task).where(visible_tasks(viewer), *filters).order_by(col(Task.due_at), col(Task.id)).limit(limit)
    if after is not None:
        due_at, task_id = after
        query = query.where((col(Task.due_at) > due_at) | ((col(Task.due_at) == due_at) & (col(Task.id) > task_id)))
    return await as_rows(session, list((await session.exec(query)).all()))


async def overdue_count(session: AsyncSession, user_id: int, now: datetime) -> int:
    found = await session.exec(
        select(func.count())
        .select_from(Task)
        .where(Task.assignee_id == user_id, Task.status == TaskStatus.OPEN.value, Task.due_at <= now)
    )
    return found.one()


async def as_rows(session: AsyncSession, tasks: list[Task]) -> list[TaskRow]:
    users = await load_by_id(session, User, (task.assignee_id for task in tasks))
    deals = await load_by_id(session, Deal, (task.deal_id for task in tasks))
    contacts = await load_by_id(session, Contact, (task.contact_id for task in tasks))
    return [
        TaskRow(task, users.get(task.assignee_id), deals.get(task.deal_id), contacts.get(task.contact_id))
        for task in tasks
    ]
