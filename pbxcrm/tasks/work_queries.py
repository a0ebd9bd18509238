"""The tasks of lamps: the work that ends them, and which of them are escalations. The context of checkpoints knows it;
``pbxcrm.composition`` registers how it is read.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

from sqlalchemy import ColumnElement, SelectBase, and_, or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.tasks.models import Task, TaskKind
from pbxcrm.tasks.rules import ABOUT_CALLBACK_LAMP, ABOUT_DIGEST, ABOUT_LAMP, check_finishable
from pbxcrm.tasks.work_rules import EndedByWork, EndingWork

#: Deal ids -> the work that ends the burning lamps of each deal, one entry per checkpoint.
WorkOf = Callable[[AsyncSession, Collection[int]], Awaitable[Mapping[int, tuple[EndingWork, ...]]]]
#: A viewer -> the ids of those of their tasks that are escalations.
EscalatedOf = Callable[[Viewer], SelectBase]
_readers: list[WorkOf] = []
_escalated: list[EscalatedOf] = []


def register_lamp_tasks(work_of: WorkOf, escalated_of: EscalatedOf) -> None:
    """Register what checkpoints know about the tasks of their lamps; ``pbxcrm.composition`` calls this."""
    _readers[:], _escalated[:] = [work_of], [escalated_of]


def reached_manager(viewer: Viewer, task: type[Task] = Task) -> ColumnElement[bool]:
    """Those of the viewer's tasks that the page of escalations shows: controls, and what lamps ask a manager."""
    return or_(is_control(task), *(col(task.id).in_(escalated_of(viewer)) for escalated_of in _escalated))


def is_control(task: type[Task] = Task) -> ColumnElement[bool]:
    """Controls that no lamp made: an unknown extension, a pause to approve, and the like."""
    of_lamps = (col(task.about).like(f"{prefix}%") for prefix in (ABOUT_CALLBACK_LAMP, ABOUT_LAMP, ABOUT_DIGEST))
    return and_(col(task.kind) == TaskKind.CONTROL.value, ~or_(*of_lamps))


def is_of_lamp(task: Task) -> bool:
    """Whether the task is that of the lamp of a deal."""
    return task.about.startswith(ABOUT_LAMP) and task.deal_id is not None


async def ending_work(session: AsyncSession, deal_ids: Collection[int]) -> Mapping[int, tuple[EndingWork, ...]]:
    """The work that ends the burning lamps of these deals, by deal id; none for deals without one."""
    return await _readers[0](session, deal_ids) if deal_ids and _readers else {}


async def check_not_of_work(session: AsyncSession, task: Task) -> None:
    """Raise Conflict with what ends the task, if only work can end it."""
    if is_of_lamp(task):
        works = (await ending_work(session, [task.deal_id or 0])).get(task.deal_id or 0, ())
        if any(work.ways for work in works):
            raise EndedByWork(f"tasks.{task.kind}", works)
    check_finishable(task)
