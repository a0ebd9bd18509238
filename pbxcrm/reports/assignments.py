"""The report on assignments (F3): given, accepted, done, checked, returned and late, by person."""

from collections.abc import Sequence

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.reports.grouping import of_person, split
from pbxcrm.reports.report import Asked, Column, ColumnKind, Report, ReportLine, Table
from pbxcrm.reports.task_lines import CountedTask, counted_tasks, line_of_tasks, not_cancelled, overdue
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, TaskStatus, is_assignment

NOBODY = N_("Nobody")


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Assignments that were given in the period and that the viewer may see, by assignee or by giver."""
    people = await load_directory(session)
    wanted = [
        visible_tasks(viewer),
        is_assignment(),
        col(Task.created_at) >= asked.since,
        col(Task.created_at) < asked.until,
    ]
    if asked.user_id is not None:
        wanted.append(or_(col(Task.assignee_id) == asked.user_id, col(Task.given_by_id) == asked.user_id))
    if asked.team_id is not None:
        wanted.append(col(Task.assignee_id).in_(select(User.id).where(User.team_id == asked.team_id)))
    tasks = await counted_tasks(session, *wanted)

    def key_of(task: CountedTask) -> tuple[str, str]:
        who = task.given_by_id if asked.by == "giver" else task.assignee_id
        return of_person(who, people.name(who), NOBODY)

    def line_of(key: str, name: str, group: Sequence[CountedTask]) -> ReportLine:
        return _line(key, name, group, asked)

    return split(tasks, key_of, line_of, lambda everything: line_of("", "", everything))


def _line(key: str, name: str, tasks: Sequence[CountedTask], asked: Asked) -> ReportLine:
    kept = not_cancelled(tasks)
    late = overdue(kept, asked)
    behind = {
        "given": kept,
        "accepted": [task for task in kept if task.accepted_at is not None],
        "done": [task for task in kept if task.status == TaskStatus.DONE],
        "checked": [task for task in kept if task.checked_at is not None],
        "returned": [task for task in kept if task.returned_at is not None],
        "late": late,
    }
    return line_of_tasks(key, name, behind, "percent_late", late, kept)


ASSIGNMENTS = Report(
    name="assignments",
    title=N_("Assignments"),
    question=N_("What became of the assignments that people gave each other?"),
    definition=N_(
        "Assignments that were given in the period, as they stand now. Accepted: whoever has it took it on. Done: finished by "
        "them. Checked: found to be done well. Returned: something was still to be done. Late: finished after its deadline, or "
        "past it and still open. Cancelled ones do not count."
    ),
    dimensions={"owner": N_("By who has it"), "giver": N_("By who gave it")},
    columns=(
        Column("given", N_("Given"), ColumnKind.COUNT, opens=True),
        Column("accepted", N_("Accepted"), ColumnKind.COUNT, opens=True),
        Column("done", N_("Done"), ColumnKind.COUNT, opens=True),
        Column("checked", N_("Checked"), ColumnKind.COUNT, opens=True),
        Column("returned", N_("Returned"), ColumnKind.COUNT, opens=True),
        Column("late", N_("Late"), ColumnKind.COUNT, opens=True),
        Column("percent_late", N_("Share late"), ColumnKind.PERCENT, opens=True),
    ),
    load=load,
    bar="given",
)
