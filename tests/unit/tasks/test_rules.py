"""Which tasks a person may finish, and what is said of the others."""

from datetime import UTC, datetime

import pytest

from pbxcrm.shared.errors import Conflict
from pbxcrm.tasks.models import Task, TaskKind
from pbxcrm.tasks.rules import check_finishable, ended_by

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def task(kind: TaskKind, about: str = "") -> Task:
    return Task(kind=kind.value, title="x", due_at=NOON, created_at=NOON, about=about)


@pytest.mark.parametrize("kind", [TaskKind.TODO, TaskKind.ASSIGNMENT, TaskKind.CONTROL])
def test_what_a_person_finishes(kind: TaskKind) -> None:
    assert ended_by(task(kind)) == ""
    check_finishable(task(kind))


@pytest.mark.parametrize(
    ("kind", "about"),
    [(TaskKind.CALLBACK, ""), (TaskKind.LAMP, ""), (TaskKind.CONTROL, "callback-lamp:7")],
)
def test_what_ends_by_work_says_by_which(kind: TaskKind, about: str) -> None:
    one = task(kind, about)
    with pytest.raises(Conflict) as caught:
        check_finishable(one)
    assert caught.value.code == f"tasks.{kind.value}"
    assert ended_by(one) in str(caught.value)
