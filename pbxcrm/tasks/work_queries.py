"""The work that ends the tasks of lamps. The context of checkpoints knows it; ``pbxcrm.composition`` registers how it is read."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.tasks.models import Task
from pbxcrm.tasks.rules import ABOUT_LAMP, check_finishable
from pbxcrm.tasks.work_rules import EndedByWork, EndingWork

#: Deal ids -> the work that ends the burning lamps of each deal, one entry per checkpoint.
WorkOf = Callable[[AsyncSession, Collection[int]], Awaitable[Mapping[int, tuple[EndingWork, ...]]]]
_readers: list[WorkOf] = []


def register_ending_work(work_of: WorkOf) -> None:
    """Register the reader; ``pbxcrm.composition`` calls this."""
    _readers[:] = [work_of]


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
