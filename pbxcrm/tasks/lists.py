"""Lists of tasks as pages ask for them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, visible_tasks
from pbxcrm.shared.text_match import part_of
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.queries import TaskRow, as_rows


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """``assignee_id`` whose tasks (None: everybody's that one may see); ``text`` a part of the title."""

    assignee_id: int | None = None
    nobodys: bool = False
    kind: str = ""
    text: str = ""
    contact_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.assignee_id is not None:
            found.append(col(Task.assignee_id) == self.assignee_id)
        if self.nobodys:
            found.append(col(Task.assignee_id).is_(None))
        if self.kind:
            found.append(col(Task.kind) == self.kind)
        if self.contact_id is not None:
            found.append(col(Task.contact_id) == self.contact_id)
        if self.text.strip():
            found.append(part_of(col(Task.title_folded), self.text))
        return found

    def open(self) -> list[ColumnElement[bool]]:
        return [col(Task.status) == TaskStatus.OPEN.value, *self.conditions()]


async def list_closed(
    session: AsyncSession,
    viewer: Viewer,
    asked: TaskChoice,
    *,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[TaskRow]:
    """Tasks that are done or cancelled, the latest first; ``before`` is (done_at, id) of the last one seen."""
    done = col(Task.done_at)
    query = select(Task).where(
        visible_tasks(viewer), done.is_not(None), col(Task.status) != TaskStatus.OPEN.value, *asked.conditions()
    )
    if before is not None:
        query = query.where((done < before[0]) | ((done == before[0]) & (col(Task.id) < before[1])))
    found = await session.exec(query.order_by(done.desc(), col(Task.id).desc()).limit(limit))
    return await as_rows(session, list(found.all()))


async def open_tasks_of_deal(session: AsyncSession, deal_id: int) -> list[TaskRow]:
    """What is still to be done on a deal one was given access to, earliest first."""
    found = await session.exec(
        select(Task)
        .where(Task.deal_id == deal_id, Task.status == TaskStatus.OPEN.value)
        .order_by(col(Task.due_at), col(Task.id))
    )
    return await as_rows(session, list(found.all()))
