"""Pure decisions about tasks: what they may be called, and which of them a person may finish."""

from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.lengths import check_line
from pbxcrm.shared.reasons import N_
from pbxcrm.tasks.models import Task, TaskKind

ABOUT_ESCALATION = "escalation:"  # how ``Task.about`` begins where a callback has reached the manager
ABOUT_LAMP = "lamp:"  # … where a checkpoint lit: it ends by work on the deal
ABOUT_DIGEST = "lamps:"  # … where many lit at once: it ends with the last of them
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
    if task.kind == TaskKind.CONTROL and not task.about.startswith(ABOUT_ESCALATION):
        return ""
    return ENDED_BY.get(task.kind, "")


def check_finishable(task: Task) -> None:
    """Raise Conflict, with what ends the task, where it ends by work only."""
    if said := ended_by(task):
        raise Conflict(f"tasks.{task.kind}", said)
