"""The tables of tasks, their comments, automatic tasks of stages and calendar feeds."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ColumnElement, ForeignKey, Index, UniqueConstraint, literal_column, text
from sqlmodel import Field, col

from pbxcrm.shared.columns import (
    ID,
    NEVER_REUSED,
    TableModel,
    json_list,
    json_object,
    link,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.text_match import folded_text, keep_folded


class TaskKind(StrEnum):
    """The kind of a task. People create ``todo`` and ``assignment``, the product the others."""

    CALLBACK = "callback"  # a client was missed
    LAMP = "lamp"  # a checkpoint lit
    CONTROL = "control"  # a manager must look into it
    TODO = "todo"
    ASSIGNMENT = "assignment"


class TaskStatus(StrEnum):
    """The status of a task. ``cancelled``: no longer needed."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Repeat(StrEnum):
    """How often a task is repeated."""

    NEVER = ""
    DAILY = "daily"
    WORKDAYS = "workdays"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class TaskAct(StrEnum):
    """The action that a comment belongs to; empty for a plain comment."""

    SAID = ""
    GIVEN = "given"
    ACCEPTED = "accepted"
    DONE = "done"
    CHECKED = "checked"
    RETURNED = "returned"
    SNOOZED = "snoozed"


OPEN = text("status = 'open'")
GIVEN = text("kind = 'assignment'")
TO_CHECK = text("kind = 'assignment' AND status = 'done' AND checked_at IS NULL")


class Task(TableModel, table=True):
    """Something to do by a time. If the product wrote ``title`` or ``result``, it is English, and ``title_code`` or ``result_code`` holds
    the reason to translate.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_list", "assignee_id", "status", "due_at"),
        # Of a million tasks few are open: lists and counters of a team find them here.
        Index("ix_tasks_open", "due_at", "kind", "assignee_id", sqlite_where=OPEN, postgresql_where=OPEN),
        Index("ix_tasks_given", "created_at", sqlite_where=GIVEN, postgresql_where=GIVEN),
        Index("ix_tasks_to_check", "given_by_id", "due_at", sqlite_where=TO_CHECK, postgresql_where=TO_CHECK),
        Index("ix_tasks_done_at", "done_at"),
        Index("ix_tasks_title_folded", "title_folded"),  # a part of a title is found by a scan of it, not of the table
        UniqueConstraint("follows_id", name="uq_tasks_follows_id"),
        UniqueConstraint("stage_task_id", "stage_move_id", name="uq_tasks_stage_task_id_stage_move_id"),
        NEVER_REUSED,
    )

    id: int | None = row_id()
    kind: str = Field(max_length=12)  # a TaskKind
    title: str = Field(max_length=300)
    title_folded: str = folded_text()
    title_code: dict[str, Any] = json_object()  # a stored Reason, or empty
    note: str = Field(default="", max_length=4000)
    due_at: datetime = utc_column()
    first_due_at: datetime | None = maybe_utc_column()  # the original due time, once it has been changed
    assignee_id: int | None = maybe_link("users.id", index=False)
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    call_id: int | None = maybe_link("calls.id")
    part_of_id: int | None = maybe_link(
        "tasks.id"
    )  # the task of the callback for a lamp or escalation: lists show both as one
    status: str = Field(default=TaskStatus.OPEN.value, max_length=10)
    about: str = Field(
        default="", max_length=100, index=True
    )  # a key such as "extension:105": the product keeps one open task per key
    result: str = Field(default="", max_length=1000)
    result_code: dict[str, Any] = json_object()  # a stored Reason where the product closed the task itself, else empty
    reason: dict[str, Any] = json_object()
    created_by_id: int | None = maybe_link("users.id", index=False)  # None: the product itself
    created_at: datetime = utc_column()
    instruction: str = Field(default="", max_length=4000)  # how it is to be done
    checklist: list[dict[str, Any]] = json_list()  # {"text", "required", "done"} each, see ``checklist_rules``
    repeat: str = Field(default=Repeat.NEVER.value, max_length=10)
    repeat_day: int | None = None  # for monthly: the day of the month of the first one
    follows_id: int | None = maybe_link("tasks.id", index=False)  # the previous one of a repeated task
    stage_task_id: int | None = maybe_link("stage_tasks.id", index=False)  # the stage's automatic task …
    stage_move_id: int | None = maybe_link("stage_moves.id", index=False)  # … and the move for which it was created
    snoozed_until: datetime | None = maybe_utc_column()
    postponed: int = 0  # how often a person postponed it
    given_by_id: int | None = maybe_link("users.id")  # who assigned it to somebody else
    accepted_at: datetime | None = maybe_utc_column()
    checked_at: datetime | None = maybe_utc_column()
    checked_by_id: int | None = maybe_link("users.id", index=False)
    returned_at: datetime | None = maybe_utc_column()  # when the giver reopened it as not good enough
    done_at: datetime | None = maybe_utc_column()
    done_by_id: int | None = maybe_link("users.id", index=False)
    version: int = 1


ABOUT_MENTION = "mention:"  # the prefix of ``Task.about`` for somebody whom a note names


def is_next_step() -> ColumnElement[bool]:
    """Tasks that can be the next step with the client of their deal. Answering a colleague's note is not one."""
    return ~col(Task.about).startswith(ABOUT_MENTION)


def is_open() -> ColumnElement[bool]:
    """Open tasks. The literal is that of ``ix_tasks_open``: with a bind parameter no database would be sure to use the index."""
    return col(Task.status) == literal_column("'open'")


def is_assignment() -> ColumnElement[bool]:
    """Assignments, in the words of ``ix_tasks_given``."""
    return col(Task.kind) == literal_column("'assignment'")


@cached_config
class StageTask(TableModel, table=True):
    """An automatic task for every deal that enters a stage. A deleted one stays inactive, because its tasks refer to it."""

    __tablename__ = "stage_tasks"

    id: int | None = row_id()
    stage_id: int = link("stages.id")
    position: int = 0
    title: str = Field(max_length=300)
    instruction: str = Field(default="", max_length=4000)
    whom: str = Field(default="responsible", max_length=80)  # see ``pbxcrm.people.whom``
    after_minutes: int = 0  # working minutes after the entry
    checklist: list[dict[str, Any]] = json_list()
    keep: bool = False  # not cancelled when the deal leaves the stage
    active: bool = True
    version: int = 1


class CalendarFeed(TableModel, table=True):
    """The secret address at which calendar programs read a person's tasks. Only the hash is stored."""

    __tablename__ = "calendar_feeds"

    user_id: int = Field(sa_column=Column(ID, ForeignKey("users.id"), primary_key=True, autoincrement=False))
    secret_hash: str = Field(max_length=64, unique=True)
    created_at: datetime = utc_column()


class TaskComment(TableModel, table=True):
    """An entry in the thread of a task: a comment, or an action with an optional comment."""

    __tablename__ = "task_comments"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    task_id: int = link("tasks.id", ondelete="CASCADE")
    act: str = Field(default=TaskAct.SAID.value, max_length=10)
    text: str = Field(default="", max_length=4000)
    author_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()


keep_folded(Task, "title")
