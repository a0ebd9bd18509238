"""Orders to the PBX: click-to-call, transfer, hang up. Each order is a row that expires."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.numbers import LONGEST_NUMBER


class CommandKind(StrEnum):
    """What the PBX must do. ``attended`` is a transfer after talking to the target."""

    ORIGINATE = "originate"
    TRANSFER = "transfer"
    ATTENDED = "attended"
    HANGUP = "hangup"


class CommandStatus(StrEnum):
    """The state of an order."""

    ASKED = "asked"  # waits for the listener, until ``expires_at``
    SENT = "sent"  # the listener took it; it is never sent a second time
    RINGING = "ringing"  # click-to-call only: the PBX accepted it, and the call is in progress
    DONE = "done"
    FAILED = "failed"  # ``error_code`` says why
    EXPIRED = "expired"  # nobody sent it in time


ACTIVE = (CommandStatus.ASKED, CommandStatus.SENT, CommandStatus.RINGING)
_LOCKED = text("kind = 'originate' AND status IN ('asked', 'sent', 'ringing')")


class PhoneCommand(TableModel, table=True):
    """One order. Only one click-to-call per client number may be active, by any user (``uq_phone_commands_active``)."""

    __tablename__ = "phone_commands"
    __table_args__ = (
        Index("uq_phone_commands_active", "client_number", unique=True, sqlite_where=_LOCKED, postgresql_where=_LOCKED),
        Index("ix_phone_commands_waiting", "pbx", "status", "id"),
    )

    id: int | None = row_id()
    key: str = Field(max_length=36, unique=True)  # a UUID; the channel of a call is named crm-<key>
    pbx: str = Field(max_length=32)
    kind: str = Field(max_length=12)  # a CommandKind
    user_id: int = link("users.id")
    extension: str = Field(max_length=32)
    client_number: str | None = Field(default=None, max_length=LONGEST_NUMBER)  # originate: who is called
    target: str = Field(default="", max_length=LONGEST_NUMBER)  # transfer: to whom
    channel_id: str = Field(default="", max_length=150)  # the channel it creates or acts on
    call_id: int | None = maybe_link("calls.id")  # the call it made or acts on
    episode_id: int | None = maybe_link("episodes.id")
    deal_id: int | None = maybe_link("deals.id", index=False)
    contact_id: int | None = maybe_link("contacts.id", index=False)
    status: str = Field(default=CommandStatus.ASKED.value, max_length=10)
    error_code: str = Field(default="", max_length=64)  # of ``pbxcrm.pbx.report_sentences``
    error_params: dict[str, Any] = json_object()
    created_at: datetime = utc_column()
    expires_at: datetime = utc_column()
    sent_at: datetime | None = maybe_utc_column()
    finished_at: datetime | None = maybe_utc_column()
