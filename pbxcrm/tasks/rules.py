"""Pure decisions about tasks: what they may be called, which of them a person may finish, and how far an assignment is."""

from enum import StrEnum

from pbxcrm.access import Role, Viewer
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks import checklists
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

ABOUT_LAMP = "lamp:"  # how ``Task.about`` begins where a checkpoint lit for a deal: it ends by work on the deal
ABOUT_CALLBACK_LAMP = "callback-lamp:"  # … where one lit for a callback: it ends by a call, or by the manager
ABOUT_DIGEST = "lamps:"  # … where many lit at once: it ends with the last of them
ABOUT_POSTPONED = "postponed:"  # … where a task was put off again and again
MADE_BY_HAND = frozenset({TaskKind.TODO, TaskKind.ASSIGNMENT})
SIGNALLED_EACH = 3  # how often a task is put off before the manager looks into it
LAMP_ENDED_BY = N_(
    "This ends by work on the deal: talk to the client, set a next task, move the deal, or let the manager decide."
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
    """What ends a task that ends by work only, in English for pages to translate; empty where a person finishes it."""
    if task.about.startswith((ABOUT_LAMP, ABOUT_DIGEST)):
        return LAMP_ENDED_BY
    if task.kind == TaskKind.CONTROL and not task.about.startswith(ABOUT_CALLBACK_LAMP):
        return ""
    return ENDED_BY.get(task.kind, "")


def check_finishable(task: Task) -> None:
    """Raise Conflict, with what ends the task, where it ends by work only."""
    if said := ended_by(task):
        raise Conflict(f"tasks.{task.kind}", said)


def check_ticked(task: Task) -> None:
    """Raise Invalid with the first required item that is not ticked."""
    if left := checklists.missing(task.checklist):
        raise Invalid(
            "checklist",
            "tasks.checklist_open",
            "First tick what is required: {items}.",
            items="; ".join(left[:3]),
        )


class Progress(StrEnum):
    """How far an assignment is."""

    GIVEN = "given"
    ACCEPTED = "accepted"
    DONE = "done"  # nobody has looked at it yet
    CHECKED = "checked"
    RETURNED = "returned"
    CANCELLED = "cancelled"


def progress_of(task: Task) -> Progress:
    """How far an assignment is; of other tasks it says nothing useful."""
    if task.status == TaskStatus.CANCELLED:
        return Progress.CANCELLED
    if task.status == TaskStatus.DONE:
        return Progress.CHECKED if task.checked_at is not None else Progress.DONE
    if task.returned_at is not None:
        return Progress.RETURNED
    return Progress.ACCEPTED if task.accepted_at is not None else Progress.GIVEN


def may_accept(viewer: Viewer, task: Task) -> bool:
    """Whoever has an assignment says once that they take it on."""
    return (
        task.kind == TaskKind.ASSIGNMENT
        and task.assignee_id == viewer.user_id
        and progress_of(task) in {Progress.GIVEN, Progress.RETURNED}
    )


def may_judge(viewer: Viewer, task: Task) -> bool:
    """Whether the viewer says if a done assignment is good: whoever gave it, or a manager who has not done it themself."""
    if task.kind != TaskKind.ASSIGNMENT or progress_of(task) is not Progress.DONE:
        return False
    return viewer.user_id == task.given_by_id or (
        viewer.role in {Role.MANAGER, Role.ADMIN} and viewer.user_id != task.assignee_id
    )
