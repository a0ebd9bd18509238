"""A line of a report whose figures are tasks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pbxcrm.reports.grouping import percent
from pbxcrm.reports.report import Asked, Behind, ReportLine
from pbxcrm.tasks.models import Task, TaskStatus


def not_cancelled(tasks: Iterable[Task]) -> list[Task]:
    """The tasks that count in reports."""
    return [task for task in tasks if task.status != TaskStatus.CANCELLED]


def end_of(asked: Asked) -> datetime:
    """The end of the period, or now if it has not ended yet."""
    return min(asked.until, asked.now)


def overdue(tasks: Iterable[Task], asked: Asked) -> list[Task]:
    """Tasks finished after their deadline, or past it and still open at the end of the period."""
    return [task for task in tasks if task.due_at < (task.done_at or end_of(asked))]


def line_of_tasks(
    key: str, name: str, behind: Mapping[str, Sequence[Task]], share: str, part: int, whole: int
) -> ReportLine:
    """Each column counts its tasks and opens them; column ``share`` is ``part`` of ``whole`` in percent."""
    values = {**{column: len(tasks) for column, tasks in behind.items()}, share: percent(part, whole)}
    return ReportLine(
        key, name, values, {column: [_behind(task) for task in tasks] for column, tasks in behind.items()}
    )


def _behind(task: Task) -> Behind:
    return Behind("task", task.id or 0, task.title, task.due_at)
