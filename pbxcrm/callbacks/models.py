"""The tables of callbacks (missed-call episodes). Each client has at most one open episode."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from pbxcrm.shared.columns import ID, TableModel, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column


class EpisodeStatus(StrEnum):
    """Whether a callback is open, and how it was closed."""

    OPEN = "open"
    REACHED = "reached"  # we reached the client
    RECOVERED = "recovered"  # the client called again and got through
    DISMISSED = "dismissed"  # closed without a talk, for a reason


class AttemptResult(StrEnum):
    """The result of one attempt to call a client back."""

    REACHED = "reached"
    DIDNT_REACH = "didnt_reach"
    WRONG_NUMBER = "wrong_number"
    NOT_INTERESTED = "not_interested"
    SPAM = "spam"
    NO_NUMBER = "no_number"  # the number is withheld, so a call back is impossible


BY_CALL = text("closed_by_call_id IS NOT NULL")


class Episode(TableModel, table=True):
    """A callback. ``client_key`` is ``contact:ID``, ``number:E164`` or ``anonymous:LINE``; it is unique among open episodes."""

    __tablename__ = "episodes"
    __table_args__ = (
        Index(
            "uq_episodes_open",
            "client_key",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_episodes_status_first", "status", "first_missed_at"),
        Index("ix_episodes_first_missed_at", "first_missed_at"),  # reports ask for a period
        Index("ix_episodes_closed_by_call", "closed_at", sqlite_where=BY_CALL, postgresql_where=BY_CALL),
    )

    id: int | None = row_id()
    client_key: str = Field(max_length=100)
    client_number: str | None = Field(default=None, max_length=64, index=True)
    contact_id: int | None = maybe_link("contacts.id")
    deal_id: int | None = maybe_link("deals.id")
    task_id: int | None = maybe_link("tasks.id", use_alter=True, name="fk_episodes_task_id")
    line_id: int | None = maybe_link("lines.id", index=False)
    last_call_id: int | None = maybe_link("calls.id", index=False)
    missed_count: int = 1
    first_missed_at: datetime = utc_column()
    last_missed_at: datetime = utc_column()
    owner_id: int | None = maybe_link("users.id")
    claimed_by_id: int | None = maybe_link("users.id", index=False)
    claimed_at: datetime | None = maybe_utc_column()
    attempts: int = 0
    next_attempt_at: datetime | None = maybe_utc_column()  # planned after "didn't reach"
    norm_from: datetime | None = (
        maybe_utc_column()
    )  # the start of the norm (a miss, a planned attempt, a new owner); None: the clock is stopped
    status: str = Field(default=EpisodeStatus.OPEN.value, max_length=12)
    closed_at: datetime | None = maybe_utc_column()
    closed_by_call_id: int | None = maybe_link("calls.id", index=False)
    closed_by_id: int | None = maybe_link("users.id", index=False)
    closed_reason: dict[str, Any] = json_object()
    reason: dict[str, Any] = json_object()  # why missed and why this owner: a stored Reason
    version: int = 1


class EpisodeCall(TableModel, table=True):
    """A missed call of an episode. These rows are counted by ``missed_count``."""

    __tablename__ = "episode_calls"

    episode_id: int = Field(foreign_key="episodes.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    call_id: int = Field(foreign_key="calls.id", primary_key=True, sa_type=ID)


class Attempt(TableModel, table=True):
    """One attempt to call the client back, seen as a call or recorded by a person."""

    __tablename__ = "attempts"

    id: int | None = row_id()
    episode_id: int = link("episodes.id", ondelete="CASCADE")
    call_id: int | None = maybe_link("calls.id")
    user_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()
    result: str = Field(max_length=16)  # an AttemptResult
    note: str = Field(default="", max_length=1000)
    by_hand: bool = False  # a person recorded the result (the call is the same attempt)
    before: dict[str, Any] = json_object()  # the state before a recorded result, to undo it
