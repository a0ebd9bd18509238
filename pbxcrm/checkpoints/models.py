"""Tables of checkpoints: what is watched, in which steps, which lamps are armed, burn or burned, and who paused what."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import json_list, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.config_cache import cached_config


class TriggerKind(StrEnum):
    STAGE = "stage"  # a deal entered the stage
    DATE = "date"  # a date of the deal comes near, or has passed
    SILENCE = "silence"  # nobody has talked to the client for so long
    CALLBACK = "callback"  # a missed call is not returned


class WorkKind(StrEnum):
    """What puts a lamp out and starts its clock anew. Reading, a title or a comment is no work."""

    STAGE_MOVED = "stage_moved"
    TALKED = "talked"
    NEXT_TASK = "next_task"
    FIELD_FILLED = "field_filled"


class StepKind(StrEnum):
    TASK = "task"  # for whoever should have acted, due now
    CONTROL = "control"  # for whoever looks after them


class Subject(StrEnum):
    DEAL = "deal"
    CALLBACK = "callback"


class LampState(StrEnum):
    ARMED = "armed"
    BURNING = "burning"
    OUT = "out"


class Decision(StrEnum):
    """What a manager did about a lamp before work put it out."""

    NONE = ""
    ACCEPTED = "accepted"  # the manager lets it be, and said why
    REASSIGNED = "reassigned"


@cached_config
class Checkpoint(SQLModel, table=True):
    """What is watched. Minutes are working minutes.

    ``field`` names the date of a ``date`` checkpoint, or the field whose filling is work. ``talked_seconds`` is how long a
    conversation must be to count.
    """

    __tablename__ = "checkpoints"

    id: int | None = row_id()
    name: str = Field(max_length=100)
    trigger: str = Field(max_length=10)  # a TriggerKind
    pipeline_id: int | None = maybe_link("pipelines.id")
    stage_id: int | None = maybe_link("stages.id")
    field: str = Field(default="", max_length=64)
    offset_minutes: int = 0  # of a date: so long after it, negative before it
    work: list[str] = json_list()  # WorkKinds
    talked_seconds: int = 0
    begins_at: datetime | None = maybe_utc_column()  # no clock runs from before: those that stood there may begin anew
    is_active: bool = True
    archived_at: datetime | None = maybe_utc_column()  # taken away; its lamps stand
    version: int = 1


@cached_config
class CheckpointStep(SQLModel, table=True):
    """``after_minutes`` counts from the entry for the first step (None: the norm of the stage), from the lamp before for the others."""

    __tablename__ = "checkpoint_steps"
    __table_args__ = (UniqueConstraint("checkpoint_id", "position"),)

    id: int | None = row_id()
    checkpoint_id: int = link("checkpoints.id", ondelete="CASCADE", index=False)
    position: int  # 0 is the first
    after_minutes: int | None = None
    whom: str = Field(max_length=80)  # responsible | manager | joint | role:ROLE | user:LOGIN
    what: str = Field(max_length=8)  # a StepKind
    text: str = Field(default="", max_length=300)
    checklist: list[str] = json_list()


BURNING = text("state = 'burning'")
PARKED = text("parked_at IS NOT NULL")


class Lamp(SQLModel, table=True):
    """A step of a checkpoint for one subject: armed until it is due, burning until somebody works, then out.

    ``entry`` names what the clock runs from (subject, entry into the stage, last work): one lamp for each, so that it fires once.
    """

    __tablename__ = "lamps"
    __table_args__ = (
        UniqueConstraint("checkpoint_id", "step", "entry"),
        Index(
            "ix_lamps_due",
            "due_at",
            sqlite_where=text("state = 'armed' AND parked_at IS NULL"),
            postgresql_where=text("state = 'armed' AND parked_at IS NULL"),
        ),
        Index("ix_lamps_parked", "parked_at", sqlite_where=PARKED, postgresql_where=PARKED),
        Index("ix_lamps_deal", "deal_id", "state"),
        Index("ix_lamps_callback", "callback_id", "state"),
        Index("ix_lamps_addressee", "addressee_id", "state"),
        Index("ix_lamps_owner", "owner_id", "state"),
        Index("ix_lamps_lit", "lit_at"),
        Index("ix_lamps_burning", "lit_at", "owner_id", sqlite_where=BURNING, postgresql_where=BURNING),
        Index("ix_lamps_escalations", "is_escalation", "state", "lit_at"),
    )

    id: int | None = row_id()
    checkpoint_id: int = link("checkpoints.id", index=False)
    step: int
    subject: str = Field(max_length=8)  # a Subject
    deal_id: int | None = maybe_link("deals.id", index=False)
    callback_id: int | None = maybe_link("episodes.id", index=False)
    stage_id: int | None = maybe_link("stages.id", index=False)  # where the deal stood, for reports
    entry: str = Field(max_length=100)
    owner_id: int | None = maybe_link("users.id", index=False)  # whose work is watched
    addressee_id: int | None = maybe_link("users.id", index=False)  # who was asked; None: armed, or nobody is there
    state: str = Field(default=LampState.ARMED.value, max_length=8)
    entered_at: datetime = utc_column()  # what the clock runs from
    minutes: int  # working minutes from there until it is due, pauses not counted
    due_at: datetime = utc_column()
    lit_at: datetime | None = maybe_utc_column()
    asked_at: datetime | None = (
        maybe_utc_column()
    )  # since when the addressee of now has it: the next step counts from there
    out_at: datetime | None = maybe_utc_column()
    out_by_id: int | None = maybe_link("users.id", index=False)  # whose work; None: the client's, or the product's own
    out_reason: dict[str, Any] = json_object()  # a stored Reason
    task_id: int | None = maybe_link("tasks.id", index=False)
    reason: dict[str, Any] = json_object()  # a stored Reason
    is_escalation: bool = False  # its step asks a manager, or both together
    worked: list[list[str]] = (
        json_list()
    )  # the stretches of working time that were counted when it lit, as [from, until]
    decision: str = Field(default="", max_length=10)  # a Decision
    note: str = Field(default="", max_length=1000)  # what the manager said
    parked_at: datetime | None = maybe_utc_column()  # its calendar or deal is broken: it waits for a person
    error: str = Field(default="", max_length=500)
    version: int = 1


class Pause(SQLModel, table=True):
    """Nothing is asked for while a deal rests; working minutes of that time do not count."""

    __tablename__ = "pauses"

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    from_at: datetime = utc_column()
    until_at: datetime = utc_column()  # brought forward when somebody ends it early
    why: str = Field(max_length=300)
    by_id: int | None = maybe_link("users.id", index=False)
    approved_by_id: int | None = maybe_link("users.id", index=False)
    waits_for_approval: bool = False  # longer than the limit: it does not count before a manager has agreed


class EngineBeat(SQLModel, table=True):
    """When the engine last proved that it lives: a canary lamp fires each minute."""

    __tablename__ = "engine_beats"

    name: str = Field(max_length=32, primary_key=True)
    beat_at: datetime = utc_column()
