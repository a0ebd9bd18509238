"""Tables of calls, their legs and events, and of lines."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, Index, Text, UniqueConstraint, event, text
from sqlalchemy.orm import Mapper
from sqlmodel import Field

from pbxcrm.shared.columns import (
    NEVER_REUSED,
    TableModel,
    is_written,
    json_list,
    json_object,
    link,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.core_sql import insert_new
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.text_match import folded_text, keep_folded

#: Condition for calls in progress. Plain text, because with a parameter SQLite does not use ``ix_calls_open``.
GOING_ON = text("outcome = 'open' AND merged_into_id IS NULL")


@cached_config
class Line(TableModel, table=True):
    """A telephone line with its rules. A call belongs to the first line (by position) all of whose globs match."""

    __tablename__ = "lines"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    position: int = 0
    pbx: str = Field(default="*", max_length=32)
    trunk: str = Field(default="*", max_length=100)  # globs
    did: str = Field(default="*", max_length=100)
    queue: str = Field(default="*", max_length=100)
    region: str = Field(default="", max_length=2)  # country of national numbers; empty: that of the PBX
    makes_deals: bool = True
    makes_callbacks: bool = True
    anonymous_makes_deals: bool = True
    pipeline_id: int | None = maybe_link("pipelines.id", index=False)
    stage_id: int | None = maybe_link("stages.id", index=False)  # for answered calls; None: Unsorted
    source: str = Field(default="", max_length=100)
    owner_id: int | None = maybe_link("users.id", index=False)  # default owner of callbacks
    short_seconds: int = 0  # a caller who gave up sooner is "short" and makes no callback; 0: never
    attempt_schedule: dict[str, Any] = json_object()  # a stored ``AttemptSchedule``; empty: none of its own


class Call(TableModel, table=True):
    """A call; the columns up to ``click_to_call`` are those of ``CallState``, refreshed by every fact."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("pbx", "linkedid"),
        Index("ix_calls_outcome", "outcome", "started_at"),  # lists are read newest first and not sorted
        # Both covering: the newest calls of some numbers or clients are found without reading all of them, and whose clients they are.
        Index("ix_calls_client_number", "client_number", "started_at", "id"),
        Index("ix_calls_contact_id", "contact_id", "started_at", "id", "responsible_id", "deal_id"),
        Index(
            "ix_calls_client_name_folded",
            "client_name_folded",
            "started_at",
            "id",
            sqlite_where=text("client_name_folded <> ''"),
            postgresql_where=text("client_name_folded <> ''"),
        ),
        # With the columns of the condition; else SQLite uses ``ix_calls_outcome`` and reads all absorbed calls.
        Index("ix_calls_open", "outcome", "merged_into_id", "pbx", sqlite_where=GOING_ON, postgresql_where=GOING_ON),
    )

    id: int | None = row_id()
    pbx: str = Field(max_length=32)
    linkedid: str = Field(max_length=150)
    direction: str = Field(max_length=10)
    outcome: str = Field(max_length=16)
    missed_reason: str | None = Field(default=None, max_length=24)
    client_number: str | None = Field(default=None, max_length=LONGEST_NUMBER)
    client_heard: str | None = Field(default=None, max_length=255)
    client_name: str | None = Field(default=None, max_length=255)
    client_name_folded: str = folded_text()  # empty if the name is only a number
    withheld: bool = False
    trunk: str | None = Field(default=None, max_length=100)
    did: str | None = Field(default=None, max_length=100)
    dialled: str | None = Field(default=None, max_length=100)
    queue: str | None = Field(default=None, max_length=100)
    made_by: str | None = Field(default=None, max_length=32)
    rang: list[str] = json_list()
    answered_by: str | None = Field(default=None, max_length=32)
    talked: list[str] = json_list()
    transfers: list[dict[str, str]] = json_list()  # {"from", "to", "kind"}
    ringing: list[str] = json_list()  # extensions ringing now
    talking: list[str] = json_list()  # extensions talking now
    started_at: datetime = utc_column(index=True)
    answered_at: datetime | None = maybe_utc_column()
    ended_at: datetime | None = maybe_utc_column()
    wait_seconds: float | None = None
    talk_seconds: float = 0.0
    click_to_call: bool = False
    channel_ids: list[str] = json_list()
    outside: list[dict[str, Any]] | None = Field(
        default=None, sa_type=JSON(none_as_null=True)
    )  # outside lines that were dialled
    recording: str | None = Field(default=None, max_length=500)

    line_id: int | None = maybe_link("lines.id", index=False)
    contact_id: int | None = maybe_link("contacts.id", index=False)
    deal_id: int | None = maybe_link("deals.id")
    responsible_id: int | None = maybe_link("users.id")
    # The call that absorbed this one; then this one is not shown. No index: SQLite would use it to find all the others.
    merged_into_id: int | None = maybe_link("calls.id", index=False)
    reason: dict[str, Any] = json_object()  # what the call did and why: a stored Reason


class CallLeg(TableModel, table=True):
    """One phone's part in a call. ``user_id`` is the user who had the extension then; it stays when the extension moves."""

    __tablename__ = "call_legs"
    __table_args__ = (
        UniqueConstraint("call_id", "channel_id"),
        Index("ix_call_legs_call_id", "call_id", "user_id"),
        Index("ix_call_legs_user_id", "user_id", "call_id"),  # covering
    )

    id: int | None = row_id()
    call_id: int = link("calls.id", ondelete="CASCADE", index=False)
    channel_id: str = Field(max_length=150)
    extension: str = Field(max_length=64)
    user_id: int | None = maybe_link("users.id", index=False)
    dialled_at: datetime = utc_column()
    ringing_at: datetime | None = maybe_utc_column()
    answered_at: datetime | None = maybe_utc_column()
    ended_at: datetime | None = maybe_utc_column()
    result: str = Field(max_length=16)  # a LegResult
    cause: int | None = None


class CallEvent(TableModel, table=True):
    """An applied fact. Its key prevents a second application; the rows are the call's own timeline."""

    __tablename__ = "call_events"
    __table_args__ = (UniqueConstraint("call_id", "key"),)

    id: int | None = row_id()
    call_id: int = link("calls.id", ondelete="CASCADE")
    key: str = Field(max_length=200)
    kind: str = Field(max_length=16)
    party: str = Field(max_length=150)
    at: datetime = utc_column()


class HeardCaller(TableModel, table=True):
    """A number with a name, as calls came with them: each pair once. An empty text is no number or no name.

    Searches of calls begin here, because there are fewer callers than calls. Rows stay when calls are deleted.
    """

    __tablename__ = "callers"

    number: str = Field(max_length=LONGEST_NUMBER, primary_key=True)
    name_folded: str = Field(sa_column=Column(Text, primary_key=True))


keep_folded(Call, "client_name", only_names=True)


def _keep_caller(_mapper: Mapper[Call], connection: Connection, call: Call) -> None:
    """Keep the caller of a call that the ORM writes; facts are applied through Core (``callers.keep_callers``)."""
    pair = {"number": call.client_number or "", "name_folded": call.client_name_folded}
    if any(pair.values()) and is_written(call, "client_number", "client_name_folded"):
        connection.execute(insert_new(HeardCaller, connection.dialect.name), pair)


for _event in ("after_insert", "after_update"):
    event.listen(Call, _event, _keep_caller)
