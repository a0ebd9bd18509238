"""Pure rules for tasks: titles, which tasks people may finish, the progress of assignments, and when a repeated task is due next."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from pbxcrm.access import Viewer, leads
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.models import Repeat, Task, TaskKind, TaskStatus

ABOUT_LAMP = "lamp:"  # the prefix of ``Task.about`` for the lamp of a deal; work on the deal ends the task
ABOUT_CALLBACK_LAMP = "callback-lamp:"  # … for the lamp of a callback; a call or the manager ends it
ABOUT_DIGEST = "lamps:"  # … for many late lamps; it ends with the last of them
ABOUT_POSTPONED = "postponed:"  # … for a task that was postponed repeatedly
ABOUT_JOINT = "joint:"  # … for the manager's half of a joint task, with the id of the other half
ABOUT_NEXT_ATTEMPT = "next-attempt:"  # … for the next call to the client of the deal with this id, who was not reached
ABOUT_PASSED = "passed:"  # … for a decision that a colleague passed on; followed by what is asked
ABOUT_FORGOTTEN = "forgotten:"  # … for a deal that nothing watches after the last attempt
MADE_BY_HAND = frozenset({TaskKind.TODO, TaskKind.ASSIGNMENT})
#: Whose deal it is sees these and does not finish them, unless they have or gave them.
GIVEN_TO_ONE = frozenset({TaskKind.ASSIGNMENT, TaskKind.CONTROL})
SIGNALLED_EACH = 3  # how often a task is put off before the manager looks into it
LAMP_ENDED_BY = N_(
    "This ends by work on the deal: talk to the client, set a next task, move the deal, or let the manager decide."
)
DIGEST_ENDED_BY = N_(
    "This ends with the last of its lamps: work on each of its clients. The page of the task lists them."
)
ENDED_BY = {
    TaskKind.CALLBACK.value: N_("A callback is closed by its result: open it in the callback queue."),
    TaskKind.LAMP.value: N_("A lamp goes out when the client is called: open the callback queue."),
    TaskKind.CONTROL.value: N_(
        "This ends when the client is called, or when the manager reassigns or accepts it among the escalations."
    ),
}


def check_title(title: str) -> str:
    """The title in one line. Raises Invalid at ``title``."""
    return check_line(
        title, Task.title, "title", "tasks.title", "Write what is to be done, in up to {most} characters."
    )


def ended_by(task: Task) -> str:
    """What ends a task that only work can end, in English for pages to translate; empty if people can finish it."""
    if task.about.startswith(ABOUT_DIGEST):
        return DIGEST_ENDED_BY
    if task.about.startswith(ABOUT_LAMP):
        return LAMP_ENDED_BY
    if task.kind == TaskKind.CONTROL and not task.about.startswith(ABOUT_CALLBACK_LAMP):
        return ""
    return ENDED_BY.get(task.kind, "")


class Workplace(StrEnum):
    """Where the work is done that ends a task."""

    CALLBACKS = "callbacks"
    DEAL = "deal"
    BURNING = "burning"  # the task of many lamps


def workplace_of(task: Task) -> Workplace:
    """Where people work on a task that only work ends (``ended_by``)."""
    if task.about.startswith(ABOUT_DIGEST):
        return Workplace.BURNING
    return Workplace.DEAL if task.about.startswith(ABOUT_LAMP) and task.deal_id is not None else Workplace.CALLBACKS


def check_finishable(task: Task) -> None:
    """Raise Conflict with what ends the task, if only work can end it."""
    if said := ended_by(task):
        raise Conflict(f"tasks.{task.kind}", said)


def check_ticked(task: Task) -> None:
    """Raise Invalid at ``checklist`` with the first three required items that are not ticked."""
    if left := checklist_rules.missing(task.checklist):
        raise Invalid(
            "checklist",
            "tasks.checklist_open",
            "First tick what is required: {items}.",
            items="; ".join(left[:3]),
        )


class Progress(StrEnum):
    """The progress of an assignment."""

    GIVEN = "given"
    ACCEPTED = "accepted"
    DONE = "done"  # not checked yet
    CHECKED = "checked"
    RETURNED = "returned"
    CANCELLED = "cancelled"


def progress_of(task: Task) -> Progress:
    """The progress of an assignment. It is meaningless for other tasks."""
    if task.status == TaskStatus.CANCELLED:
        return Progress.CANCELLED
    if task.status == TaskStatus.DONE:
        return Progress.CHECKED if task.checked_at is not None else Progress.DONE
    if task.returned_at is not None:
        return Progress.RETURNED
    return Progress.ACCEPTED if task.accepted_at is not None else Progress.GIVEN


def may_accept(viewer: Viewer, task: Task) -> bool:
    """Whether the viewer is the assignee of an assignment that is not accepted yet."""
    return (
        task.kind == TaskKind.ASSIGNMENT
        and task.assignee_id == viewer.user_id
        and progress_of(task) in {Progress.GIVEN, Progress.RETURNED}
    )


def may_judge(viewer: Viewer, task: Task) -> bool:
    """Whether the viewer may check a done assignment: as its giver, or as a manager who is not its assignee."""
    if task.kind != TaskKind.ASSIGNMENT or progress_of(task) is not Progress.DONE:
        return False
    return judges(viewer, task)


def judges(viewer: Viewer, task: Task) -> bool:
    """Whether the viewer gave the assignment, or is a manager who is not its assignee."""
    return viewer.user_id == task.given_by_id or (leads(viewer.role) and viewer.user_id != task.assignee_id)


def may_reopen(viewer: Viewer, task: Task) -> bool:
    """Whether the viewer, who may change the task, may open it again. A checked assignment only who may check it: that erases the check."""
    return task.kind != TaskKind.ASSIGNMENT or task.checked_at is None or judges(viewer, task)


def next_repetition(
    repeat: Repeat, due_at: datetime, after: datetime, working: WorkingTime, month_day: int | None
) -> datetime:
    """The first repetition of ``due_at`` that is later than ``due_at`` and ``after``, at the same local time of day.

    ``working`` gives the time zone and the working days. ``month_day`` is the day of the first monthly task, so that one on the 31st
    returns to it after February.
    """
    local = due_at.astimezone(working.timezone)
    yesterday = after.astimezone(working.timezone).date() - timedelta(days=1)
    day = local.date()
    if repeat in {Repeat.DAILY, Repeat.WORKDAYS}:
        day = max(day, yesterday)
    while True:
        day = _following(repeat, day, working, month_day or local.day)
        moment = datetime.combine(day, local.time(), working.timezone).astimezone(UTC)
        if moment > max(due_at, after):
            return moment


def _following(repeat: Repeat, day: date, working: WorkingTime, month_day: int) -> date:
    if repeat is Repeat.WEEKLY:
        return day + timedelta(days=7)
    if repeat is Repeat.MONTHLY:
        year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
        return date(year, month, min(month_day, monthrange(year, month)[1]))
    if repeat is Repeat.WORKDAYS:
        return working.next_working_day(day)
    return day + timedelta(days=1)
