"""Things to do, each with a day and a person."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import ID, json_list, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.text_match import folded_text, keep_folded


class TaskKind(StrEnum):
    """Where a task comes from. ``todo`` and ``assignment`` are made by hand, the others by the product."""

    CALLBACK = "callback"  # a client was missed
    LAMP = "lamp"  # a checkpoint lit
    CONTROL = "control"  # for a manager: look into it
    TODO = "todo"
    ASSIGNMENT = "assignment"


class TaskStatus(StrEnum):
    """Open, done, or cancelled as no longer needed."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class Repeat(StrEnum):
    """When the next of a task that is done comes."""

    NEVER = ""
    DAILY = "daily"
    WORKDAYS = "workdays"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class TaskAct(StrEnum):
    """What a comment tells of besides its words."""

    SAID = ""
    GIVEN = "given"
    ACCEPTED = "accepted"
    DONE = "done"
    CHECKED = "checked"
    RETURNED = "returned"
    SNOOZED = "snoozed"


class Task(SQLModel, table=True):
    """``title`` and ``result`` are English where the product wrote them; ``title_code`` and ``result_code`` then say them in any language."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_list", "assignee_id", "status", "due_at"),
        UniqueConstraint("follows_id", name="uq_tasks_follows_id"),
        UniqueConstraint("stage_task_id", "stage_move_id", name="uq_tasks_stage_task_id_stage_move_id"),
    )

    id: int | None = row_id()
    kind: str = Field(max_length=12)  # a TaskKind
    title: str = Field(max_length=300)
    title_folded: str = folded_text()
    title_code: dict[str, Any] = json_object()  # a stored Reason, or empty
    note: str = Field(default="", max_length=4000)
    due_at: datetime = utc_column(index=True)
    first_due_at: datetime | None = maybe_utc_column()  # what it was due first, once somebody has postponed it
    assignee_id: int | None = maybe_link("users.id", index=False)
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    call_id: int | None = maybe_link("calls.id")
    part_of_id: int | None = maybe_link(
        "tasks.id"
    )  # the callback whose lamp or escalation it is: lists show the two as one
    status: str = Field(default=TaskStatus.OPEN.value, max_length=10)
    about: str = Field(
        default="", max_length=100, index=True
    )  # "extension:105": the product keeps one open task about it
    result: str = Field(default="", max_length=1000)
    result_code: dict[str, Any] = json_object()  # a stored Reason where the product closed the task itself, else empty
    reason: dict[str, Any] = json_object()
    created_by_id: int | None = maybe_link("users.id", index=False)  # None: the product itself
    created_at: datetime = utc_column()
    instruction: str = Field(default="", max_length=4000)  # how it is to be done
    checklist: list[dict[str, Any]] = json_list()  # {"text", "required", "done"} each, see ``checklists``
    repeat: str = Field(default=Repeat.NEVER.value, max_length=10)
    repeat_day: int | None = None  # of a monthly one: the day of the month it began with
    follows_id: int | None = maybe_link("tasks.id", index=False)  # the repeated task it is the next of, once each
    stage_task_id: int | None = maybe_link("stage_tasks.id", index=False)  # the automatic one of a stage …
    stage_move_id: int | None = maybe_link("stage_moves.id", index=False)  # … for this entry of the deal, once each
    snoozed_until: datetime | None = maybe_utc_column()
    postponed: int = 0  # how often a person put it off
    given_by_id: int | None = maybe_link("users.id")  # who gave it to somebody else
    accepted_at: datetime | None = maybe_utc_column()
    checked_at: datetime | None = maybe_utc_column()
    checked_by_id: int | None = maybe_link("users.id", index=False)
    returned_at: datetime | None = maybe_utc_column()  # not good enough: open again
    done_at: datetime | None = maybe_utc_column()
    done_by_id: int | None = maybe_link("users.id", index=False)
    version: int = 1


@cached_config
class StageTask(SQLModel, table=True):
    """A task that every deal gets when it enters a stage. One that is taken away stays for the tasks it has made."""

    __tablename__ = "stage_tasks"

    id: int | None = row_id()
    stage_id: int = link("stages.id")
    position: int = 0
    title: str = Field(max_length=300)
    instruction: str = Field(default="", max_length=4000)
    whom: str = Field(default="responsible", max_length=80)  # responsible, manager, user:LOGIN
    after_minutes: int = 0  # working minutes after the entry
    checklist: list[dict[str, Any]] = json_list()
    keep: bool = False  # stays when the deal leaves the stage before it is done
    active: bool = True
    version: int = 1


class CalendarFeed(SQLModel, table=True):
    """The secret address under which calendar programs read somebody's tasks; only its hash is kept."""

    __tablename__ = "calendar_feeds"

    user_id: int = Field(sa_column=Column(ID, ForeignKey("users.id"), primary_key=True, autoincrement=False))
    secret_hash: str = Field(max_length=64, unique=True)
    created_at: datetime = utc_column()


class TaskComment(SQLModel, table=True):
    """The thread of a task: what people wrote, and what they did with it, each with who and when."""

    __tablename__ = "task_comments"

    id: int | None = row_id()
    task_id: int = link("tasks.id", ondelete="CASCADE")
    act: str = Field(default=TaskAct.SAID.value, max_length=10)
    text: str = Field(default="", max_length=4000)
    author_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()


keep_folded(Task, "title")
