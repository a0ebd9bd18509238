"""A line of a report whose figures are tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.reports.grouping import counted_rows, percent, shared_in
from pbxcrm.reports.report import Asked, Behind, ReportLine, RowsBehind
from pbxcrm.tasks.models import Task, TaskStatus


@dataclass(frozen=True, slots=True)
class CountedTask:
    """The columns of a task that reports look at."""

    id: int
    kind: str
    title: str
    status: str
    due_at: datetime
    created_at: datetime
    assignee_id: int | None
    given_by_id: int | None
    accepted_at: datetime | None
    checked_at: datetime | None
    returned_at: datetime | None
    done_at: datetime | None


async def counted_tasks(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[CountedTask]:
    """The tasks that a report counts, the earliest due first. Raises Invalid for too many."""
    wanted = (col(getattr(Task, each.name)) for each in fields(CountedTask))
    query = select(*wanted).where(*conditions).order_by(col(Task.due_at), col(Task.id))
    return [CountedTask(*row) for row in await counted_rows(session, query)]


def not_cancelled(tasks: Iterable[CountedTask]) -> list[CountedTask]:
    """The tasks that count in reports."""
    return [task for task in tasks if task.status != TaskStatus.CANCELLED]


def end_of(asked: Asked) -> datetime:
    """The end of the period, or now if it has not ended yet."""
    return min(asked.until, asked.now)


def overdue(tasks: Iterable[CountedTask], asked: Asked) -> list[CountedTask]:
    """Tasks finished after their deadline, or past it and still open at the end of the period."""
    return [task for task in tasks if task.due_at < (task.done_at or end_of(asked))]


def line_of_tasks(
    key: str,
    name: str,
    groups: Mapping[str, Sequence[CountedTask]],
    share: str,
    part: Sequence[CountedTask],
    whole: Sequence[CountedTask],
) -> ReportLine:
    """Each column counts its tasks and opens them; column ``share`` is ``part`` of ``whole`` in percent."""
    values = {**{column: len(tasks) for column, tasks in groups.items()}, share: percent(len(part), len(whole))}
    behind = {column: RowsBehind(tasks, _behind) for column, tasks in groups.items()}
    return ReportLine(key, name, values, {**behind, share: shared_in(whole, part, _behind)})


def _behind(task: CountedTask) -> Behind:
    return Behind("task", task.id, task.title, task.due_at)
