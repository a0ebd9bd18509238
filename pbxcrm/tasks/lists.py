"""Lists of tasks as pages ask for them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, true
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.shared.text_match import part_of
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, TaskStatus
from pbxcrm.tasks.queries import TaskRow, answered_for, as_rows, counted_once


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """``assignee_id`` whose tasks (None: everybody's that one may see); ``text`` a part of the title."""

    assignee_id: int | None = None
    nobodys: bool = False
    kind: str = ""
    text: str = ""
    contact_id: int | None = None
    due_before: datetime | None = None  # only what was due until then

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of tasks."""
        found: list[ColumnElement[bool]] = []
        if self.assignee_id is not None:
            found.append(col(Task.assignee_id) == self.assignee_id)
        if self.nobodys:
            found.append(col(Task.assignee_id).is_(None))
        if self.kind:
            found.append(col(Task.kind) == self.kind)
        if self.contact_id is not None:
            found.append(col(Task.contact_id) == self.contact_id)
        if self.due_before is not None:
            found.append(col(Task.due_at) <= self.due_before)
        if self.text.strip():
            found.append(part_of(col(Task.title_folded), self.text))
        return found

    def open(self, viewer: Viewer) -> list[ColumnElement[bool]]:
        """The same choice, of tasks that are open."""
        return [col(Task.status) == TaskStatus.OPEN.value, self._once(viewer, still_open=True), *self.conditions()]

    def closed(self, viewer: Viewer) -> list[ColumnElement[bool]]:
        """The same choice, of tasks that are done or cancelled."""
        return [col(Task.status) != TaskStatus.OPEN.value, self._once(viewer, still_open=False), *self.conditions()]

    def _once(self, viewer: Viewer, *, still_open: bool) -> ColumnElement[bool]:
        """One miss is one row; who asks for one kind, or looks for words, gets every task of it."""
        if self.kind or self.text.strip():
            return true()
        in_list = answered_for(viewer)
        if self.assignee_id is not None:
            return counted_once(lambda whole: col(whole.assignee_id) == self.assignee_id, still_open=still_open)
        if self.nobodys:
            return counted_once(lambda whole: col(whole.assignee_id).is_(None), still_open=still_open)
        return counted_once(in_list, still_open=still_open)


async def overdue_by_person(session: AsyncSession, viewer: Viewer, now: datetime) -> dict[int | None, int]:
    """How many tasks are late, by who has them: as many as the list of each shows. Over what the viewer may see."""
    once = counted_once(lambda whole: col(whole.assignee_id).is_not_distinct_from(col(Task.assignee_id)))
    found = await session.exec(
        select(Task.assignee_id, func.count())
        .where(visible_tasks(viewer), Task.status == TaskStatus.OPEN.value, col(Task.due_at) <= now, once)
        .group_by(col(Task.assignee_id))
    )
    return dict(found.all())


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
    query = select(Task).where(visible_tasks(viewer), done.is_not(None), *asked.closed(viewer))
    if before is not None:
        query = query.where((done < before[0]) | ((done == before[0]) & (col(Task.id) < before[1])))
    found = await session.exec(query.order_by(done.desc(), col(Task.id).desc()).limit(limit))
    return await as_rows(session, list(found.all()))


async def open_tasks_of_deal(session: AsyncSession, deal_id: int) -> list[TaskRow]:
    """What is still to be done on a deal one was given access to, earliest first; a miss is one thing."""
    found = await session.exec(
        select(Task)
        .where(
            Task.deal_id == deal_id,
            Task.status == TaskStatus.OPEN.value,
            counted_once(lambda whole: col(whole.deal_id) == deal_id),
        )
        .order_by(col(Task.due_at), col(Task.id))
    )
    return await as_rows(session, list(found.all()))
