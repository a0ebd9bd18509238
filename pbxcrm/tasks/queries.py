"""Queries for tasks."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import SEES_EVERYTHING, Permission, Viewer, can, teammates
from pbxcrm.access.kept import kept
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.lamp_queries import LampLevel
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import counted, load_by_id
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.access import editable_tasks, visible_tasks
from pbxcrm.tasks.models import Task, TaskComment, TaskKind, TaskStatus, is_open
from pbxcrm.tasks.rules import ABOUT_LAMP, GIVEN_TO_ONE, Workplace, ended_by, workplace_of
from pbxcrm.tasks.work_queries import ending_work, is_of_lamp, reached_manager
from pbxcrm.tasks.work_rules import EndingWork, WorkActs, acts_of


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task with its related rows."""

    task: Task
    assignee: User | None
    deal: Deal | None
    contact: Contact | None
    lamp: LampLevel = "none"  # the level of a callback's burning lamp
    works: tuple[EndingWork, ...] = ()  # what ends the task of a lamp
    others: tuple[
        Task, ...
    ] = ()  # the same person's tasks of other lamps of the deal, for which this one stands in lists

    @property
    def acts(self) -> WorkActs:
        """What to offer for the task of a lamp."""
        return acts_of(self.works)

    @property
    def ended_by(self) -> str:
        """What ends the task if people cannot finish it, in English; empty if they can."""
        return ended_by(self.task)

    @property
    def workplace(self) -> Workplace:
        """Where the work is done that ends such a task."""
        return workplace_of(self.task)


async def access_task(session: AsyncSession, viewer: Viewer, task_id: int) -> Task:
    """The task, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Task).where(Task.id == task_id, visible_tasks(viewer)))).first()
    if found is None:
        raise NotFound("tasks.not_found", "There is no such task, or it is a colleague's.")
    return found


async def editable_among(session: AsyncSession, viewer: Viewer, tasks: Iterable[Task]) -> set[int | None]:
    """Which of these tasks, which the viewer sees, they may change or finish. Asks the database only about others' assignments."""
    if not can(viewer, Permission.TASKS_EDIT):
        return set()
    seen = list(tasks)
    asked = {task.id for task in seen if task.kind in GIVEN_TO_ONE and task.assignee_id != viewer.user_id}
    if viewer.role in SEES_EVERYTHING or not asked:
        return {task.id for task in seen}
    found = await session.exec(select(Task.id).where(col(Task.id).in_(asked), editable_tasks(viewer)))
    return {task.id for task in seen if task.id not in asked} | set(found.all())


async def edits_task(session: AsyncSession, viewer: Viewer, task_id: int) -> bool:
    """Whether the viewer may change this task; seeing it is not enough."""
    if not can(viewer, Permission.TASKS_EDIT):
        return False
    return (await session.exec(select(Task.id).where(Task.id == task_id, editable_tasks(viewer)))).first() is not None


async def access_task_row(session: AsyncSession, viewer: Viewer, task_id: int) -> TaskRow:
    """The task with its related rows, if the viewer may see it. Raises NotFound."""
    return (await as_rows(session, [await access_task(session, viewer, task_id)]))[0]


async def comments_of(session: AsyncSession, task_id: int) -> list[TaskComment]:
    """The comments of a task, the earliest first. The caller must have checked access to the task."""
    found = await session.exec(
        select(TaskComment).where(TaskComment.task_id == task_id).order_by(col(TaskComment.at), col(TaskComment.id))
    )
    return list(found.all())


async def list_tasks(
    session: AsyncSession,
    viewer: Viewer,
    *filters: ColumnElement[bool],
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[TaskRow]:
    """Tasks that the viewer may see, the earliest due first; ``after`` is (due_at, id) of the last one shown."""
    query = due_order(select(Task), after).where(visible_tasks(viewer), *filters).limit(limit)
    return await as_rows(session, list((await session.exec(query)).all()))


def due_order(query: Any, after: tuple[datetime, int] | None) -> Any:
    """A query for tasks in the order in which they are due; ``after``: (due_at, id) of the last one shown."""
    ordered = query.order_by(col(Task.due_at), col(Task.id))
    if after is None:
        return ordered
    due_at, task_id = after
    return ordered.where((col(Task.due_at) > due_at) | ((col(Task.due_at) == due_at) & (col(Task.id) > task_id)))


async def overdue_count(session: AsyncSession, viewer: Viewer, now: datetime) -> int:
    """The number of the viewer's own overdue tasks, as ``TaskChoice`` lists them."""
    return await counted(session, _overdue(viewer), {"now": now})


@kept
def _overdue(viewer: Viewer) -> Any:  # Select
    overdue = (is_open(), col(Task.due_at) <= bindparam("now"))
    return select(func.count()).select_from(Task).where(*overdue, *own_day(viewer))


def own_day(viewer: Viewer) -> list[ColumnElement[bool]]:
    """The condition for the viewer's own open tasks. A missed call counts once, even if it has tasks for callback and lamp.

    Whoever decides about escalations finds what has reached them there and only there: one thing is counted in one place.
    """

    def mine(task: type[Task]) -> ColumnElement[bool]:
        own = col(task.assignee_id) == viewer.user_id
        return and_(own, ~reached_manager(viewer, task)) if can(viewer, Permission.ESCALATIONS_READ) else own

    return [mine(Task), counted_once(mine)]


#: Made once: the columns of an alias are copied when it is first used, which takes longer than the question it stands in.
_Whole = aliased(Task, name="tasks_0")


def counted_once(
    in_list: Callable[[type[Task]], ColumnElement[bool]], *, still_open: bool = True
) -> ColumnElement[bool]:
    """The condition that leaves out tasks for which another one stands that is shown in the same list (``in_list``): the parent
    task, and for the lamp of a deal an earlier one of the same deal.

    The tasks for the lamp and the escalation of a missed call have the callback's task as their parent. A deal that several
    checkpoints watch is one thing to do, however many of their lamps burn.
    """
    whole = _Whole
    status = col(whole.status)
    stands = status == TaskStatus.OPEN.value if still_open else status != TaskStatus.OPEN.value
    shown: Any = select(literal_column("1")).where(whole.id == Task.part_of_id, stands, in_list(whole))
    once = or_(col(Task.part_of_id).is_(None), ~shown.correlate(Task).exists())
    if not still_open:  # each says how it ended
        return once
    same: Any = select(literal_column("1")).where(
        whole.deal_id == Task.deal_id, col(whole.id) < col(Task.id), stands, _is_of_lamp(whole), in_list(whole)
    )
    return and_(once, or_(~_is_of_lamp(Task), ~same.correlate(Task).exists()))


def _is_of_lamp(task: type[Task]) -> ColumnElement[bool]:
    """Tasks of lamps of deals. Only those of one kind begin so."""
    return and_(col(task.about).like(f"{ABOUT_LAMP}%"), col(task.deal_id).is_not(None))


def answered_for(viewer: Viewer) -> Callable[[type[Task]], ColumnElement[bool]]:
    """``in_list`` for a list of all tasks that the viewer may see: tasks of the people for whom they answer."""
    if viewer.role in SEES_EVERYTHING:
        return lambda _whole: true()
    return lambda whole: col(whole.assignee_id).in_(teammates(viewer))


async def as_rows(session: AsyncSession, tasks: list[Task]) -> list[TaskRow]:
    """The tasks with their related rows, in the same order, with one query per table."""
    users = await load_by_id(session, User, (task.assignee_id for task in tasks))
    deals = await load_by_id(session, Deal, (task.deal_id for task in tasks))
    contacts = await load_by_id(session, Contact, (task.contact_id for task in tasks))
    lamps = await _lamps(session, tasks)
    of_lamps = {task.deal_id for task in tasks if is_of_lamp(task) and task.status == TaskStatus.OPEN}
    works = await ending_work(session, [deal_id for deal_id in of_lamps if deal_id is not None])
    others = await _others(session, of_lamps)
    return [
        TaskRow(
            task,
            users.get(task.assignee_id),
            deals.get(task.deal_id),
            contacts.get(task.contact_id),
            lamps.get(task.id, "none"),
            works.get(task.deal_id or 0, ()) if is_of_lamp(task) else (),
            tuple(each for each in others.get((task.deal_id, task.assignee_id), ()) if each.id != task.id)
            if is_of_lamp(task) and task.status == TaskStatus.OPEN
            else (),
        )
        for task in tasks
    ]


async def _others(
    session: AsyncSession, deal_ids: Collection[int | None]
) -> dict[tuple[int | None, int | None], list[Task]]:
    """The open tasks of lamps of these deals, by deal and assignee, earliest first."""
    found: dict[tuple[int | None, int | None], list[Task]] = {}
    if deal_ids:
        query = select(Task).where(col(Task.deal_id).in_(deal_ids), is_open(), _is_of_lamp(Task)).order_by(col(Task.id))
        for task in (await session.exec(query)).all():
            found.setdefault((task.deal_id, task.assignee_id), []).append(task)
    return found


async def _lamps(session: AsyncSession, tasks: list[Task]) -> dict[int | None, LampLevel]:
    wholes = [task.id for task in tasks if task.kind == TaskKind.CALLBACK]
    if not wholes:
        return {}
    found = await session.exec(
        select(Task.part_of_id, Task.kind).where(col(Task.part_of_id).in_(wholes), Task.status == TaskStatus.OPEN.value)
    )
    burning: dict[int | None, LampLevel] = {}
    for task_id, kind in found.all():
        if kind == TaskKind.CONTROL or task_id not in burning:
            burning[task_id] = "second" if kind == TaskKind.CONTROL else "first"
    return burning


async def open_task_about(session: AsyncSession, about: str) -> Task | None:
    """The open task about this (``Task.about``), or None."""
    return (await session.exec(_OPEN_ABOUT, params={"about": about})).first()


# Built once: each answered call of a client with a deal asks it.
_OPEN_ABOUT = select(Task).where(Task.about == bindparam("about"), Task.status == TaskStatus.OPEN.value)
