"""The tables of checkpoints, their steps, lamps and pauses."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from pbxcrm.shared.columns import (
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


class TriggerKind(StrEnum):
    """What starts the clock of a checkpoint."""

    STAGE = "stage"  # a deal entered the stage
    DATE = "date"  # a date of the deal comes near, or has passed
    SILENCE = "silence"  # nobody has talked to the client for so long
    CALLBACK = "callback"  # a missed call is not returned


class WorkKind(StrEnum):
    """The kinds of work that put out a lamp and restart its clock. Reading, editing a title or commenting does not count."""

    STAGE_MOVED = "stage_moved"
    TALKED = "talked"
    NEXT_TASK = "next_task"
    FIELD_FILLED = "field_filled"  # from empty; alone it stops the clock while the field stays filled


class StepKind(StrEnum):
    """The kind of task that a lamp creates."""

    TASK = "task"  # for the person who should have acted, due now
    CONTROL = "control"  # for the manager


class Subject(StrEnum):
    """What a lamp belongs to."""

    DEAL = "deal"
    CALLBACK = "callback"


class LampState(StrEnum):
    """The state of a lamp: waiting for its time, burning, or out."""

    ARMED = "armed"
    BURNING = "burning"
    OUT = "out"


class Decision(StrEnum):
    """A manager's decision that put out a lamp."""

    NONE = ""
    ACCEPTED = "accepted"  # the manager accepts the delay for a reason
    REASSIGNED = "reassigned"


@cached_config
class Checkpoint(TableModel, table=True):
    """A rule that watches deals or callbacks. Minutes are working minutes.

    ``field`` is the date of a ``date`` checkpoint, or the field whose filling counts as work. ``talked_seconds``: the least length of a
    conversation that counts.
    """

    __tablename__ = "checkpoints"

    id: int | None = row_id()
    name: str = Field(max_length=100)
    trigger: str = Field(max_length=10)  # a TriggerKind
    pipeline_id: int | None = maybe_link("pipelines.id")
    stage_id: int | None = maybe_link("stages.id")
    field: str = Field(default="", max_length=64)
    offset_minutes: int = 0  # added to the date; negative: before it
    work: list[str] = json_list()  # WorkKinds
    talked_seconds: int = 0
    begins_at: datetime | None = maybe_utc_column()  # no clock starts earlier than this
    is_active: bool = True
    archived_at: datetime | None = maybe_utc_column()  # deleted; its lamps stay as history
    version: int = 1


@cached_config
class CheckpointStep(TableModel, table=True):
    """A step. ``after_minutes``: working minutes after the clock's start for the first step (None: the norm of the stage), after the
    previous lamp for the others.
    """

    __tablename__ = "checkpoint_steps"
    __table_args__ = (UniqueConstraint("checkpoint_id", "position"),)

    id: int | None = row_id()
    checkpoint_id: int = link("checkpoints.id", ondelete="CASCADE", index=False)
    position: int  # 0 is the first
    after_minutes: int | None = None
    whom: str = Field(max_length=80)  # see ``pbxcrm.people.whom``
    what: str = Field(max_length=8)  # a StepKind
    text: str = Field(default="", max_length=300)
    checklist: list[str] = json_list()


BURNING = text("state = 'burning'")
PARKED = text("parked_at IS NOT NULL")
STOOD_IN = text("state = 'burning' AND (instead_of_id IS NOT NULL OR half_instead_of_id IS NOT NULL)")


class Lamp(TableModel, table=True):
    """A step of a checkpoint for one subject: armed until it is due, burning until there is work, then out.

    ``entry`` identifies the start of the clock (subject, entry into the stage, last work). It is unique per step, so that each lights
    only once.
    """

    __tablename__ = "lamps"
    __table_args__ = (
        UniqueConstraint("checkpoint_id", "step", "entry"),
        Index(
            "ix_lamps_due",
            "due_at",
            "owner_id",  # so that *What burns* counts by owner without reading the rows
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
        Index("ix_lamps_stood_in", "id", sqlite_where=STOOD_IN, postgresql_where=STOOD_IN),
        Index("ix_lamps_escalations", "is_escalation", "state", "lit_at"),
        NEVER_REUSED,
    )

    id: int | None = row_id()
    checkpoint_id: int = link("checkpoints.id", index=False)
    step: int
    subject: str = Field(max_length=8)  # a Subject
    deal_id: int | None = maybe_link("deals.id", index=False)
    callback_id: int | None = maybe_link("episodes.id", index=False)
    stage_id: int | None = maybe_link("stages.id", index=False)  # the deal's stage when it lit, for reports
    entry: str = Field(max_length=100)
    owner_id: int | None = maybe_link("users.id", index=False)  # whose work is watched
    addressee_id: int | None = maybe_link(
        "users.id", index=False
    )  # who was asked; None: not lit yet, or nobody could be asked
    instead_of_id: int | None = maybe_link("users.id", index=False)  # who is away and gets it back, see ``Addressee``
    half_instead_of_id: int | None = maybe_link(
        "users.id", index=False
    )  # the same for the half of its joint task that is for whoever does the work
    state: str = Field(default=LampState.ARMED.value, max_length=8)
    entered_at: datetime = utc_column()  # the start of the clock
    minutes: int  # working minutes from the start until it is due, without pauses
    due_at: datetime = utc_column()
    begins_at: datetime | None = (
        maybe_utc_column()
    )  # its clock was made to begin then, instead of lighting late when hours or rules were changed
    lit_at: datetime | None = maybe_utc_column()
    asked_at: datetime | None = maybe_utc_column()  # when the current addressee got it; the next step counts from here
    out_at: datetime | None = maybe_utc_column()
    out_by_id: int | None = maybe_link(
        "users.id", index=False
    )  # whose work it was; None: the client or the product itself
    out_reason: dict[str, Any] = json_object()  # a stored Reason
    task_id: int | None = maybe_link("tasks.id", index=False)
    reason: dict[str, Any] = json_object()  # a stored Reason
    is_escalation: bool = False  # its step asks a manager, alone or jointly
    worked: list[list[str]] = json_list()  # the spans of working time that were counted when it lit, as [from, until]
    decision: str = Field(default="", max_length=10)  # a Decision
    look_again_at: datetime | None = (
        maybe_utc_column()
    )  # watched again from then; later than ``out_at``: its next lamp lights at that time without work
    note: str = Field(default="", max_length=1000)  # comments of the manager
    parked_at: datetime | None = maybe_utc_column()  # lighting failed (see ``error``): an administrator must look at it
    error: str = Field(default="", max_length=500)
    version: int = 1


class Pause(TableModel, table=True):
    """A pause of a deal. Its working minutes do not count for clocks."""

    __tablename__ = "pauses"

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    from_at: datetime = utc_column()
    until_at: datetime = utc_column()  # earlier if somebody ended it
    why: str = Field(max_length=300)
    by_id: int | None = maybe_link("users.id", index=False)
    approved_by_id: int | None = maybe_link("users.id", index=False)
    waits_for_approval: bool = False  # a pause longer than the limit does not count until a manager approves it


STOPPED = "stopped"  # the beat of a worker that was stopped; the next sweep of any worker removes it


class EngineBeat(TableModel, table=True):
    """The last time when the engine was alive; the sweep updates it each minute."""

    __tablename__ = "engine_beats"

    name: str = Field(max_length=32, primary_key=True)
    beat_at: datetime = utc_column()
