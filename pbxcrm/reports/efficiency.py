"""The report on efficiency (I2): tasks in work, done, new, and the share that is overdue."""

from collections.abc import Sequence

from sqlalchemy import or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import of_person, split
from pbxcrm.reports.report import Asked, Column, ColumnKind, Report, ReportLine, Table
from pbxcrm.reports.task_lines import CountedTask, counted_tasks, end_of, line_of_tasks, not_cancelled, overdue
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task

NOBODY = N_("Nobody")


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Tasks that were open at some time of the period and that the viewer may see, by person or by kind."""
    people = await load_directory(session)
    open_then = col(Task.created_at) < asked.until
    not_done_before = or_(col(Task.done_at).is_(None), col(Task.done_at) >= asked.since)
    tasks = await counted_tasks(
        session,
        visible_tasks(viewer),
        col(Task.part_of_id).is_(None),
        open_then,
        not_done_before,
        *asked.of_people(Task.assignee_id),
    )

    def key_of(task: CountedTask) -> tuple[str, str]:
        if asked.by == "kind":
            return task.kind, task.kind
        return of_person(task.assignee_id, people.name(task.assignee_id), NOBODY)

    def line_of(key: str, name: str, group: Sequence[CountedTask]) -> ReportLine:
        return _line(key, name, group, asked)

    return split(tasks, key_of, line_of, lambda everything: line_of("", "", everything))


def _line(key: str, name: str, tasks: Sequence[CountedTask], asked: Asked) -> ReportLine:
    end = end_of(asked)
    kept = not_cancelled(tasks)
    in_work = [task for task in kept if task.done_at is None or task.done_at >= end]
    done = [task for task in kept if task.done_at is not None and asked.since <= task.done_at < end]
    new = [task for task in kept if task.created_at >= asked.since]
    late = overdue(kept, asked)
    behind = {"in_work": in_work, "done": done, "new": new, "overdue": late}
    return line_of_tasks(key, name, behind, "percent_overdue", late, kept)


EFFICIENCY = Report(
    name="efficiency",
    title=N_("Efficiency"),
    question=N_("How many tasks does each person have, finish and leave overdue?"),
    definition=N_(
        "Tasks that were open at some time of the period. In work: open at its end. Done and new: finished or made in it. "
        "Overdue: finished after their deadline, or past it and still open; the share is of all of them. Cancelled tasks do not count; "
        "a missed call with its lamp and its escalation is one task."
    ),
    dimensions={"owner": N_("By person"), "kind": N_("By kind")},
    columns=(
        Column("in_work", N_("In work"), ColumnKind.COUNT, opens=True),
        Column("done", N_("Done"), ColumnKind.COUNT, opens=True),
        Column("new", N_("New"), ColumnKind.COUNT, opens=True),
        Column("overdue", N_("Overdue"), ColumnKind.COUNT, opens=True),
        Column("percent_overdue", N_("Share overdue"), ColumnKind.PERCENT, opens=True),
    ),
    load=load,
    bar="in_work",
)
