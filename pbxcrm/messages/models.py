"""Tables of messages: templates, what was sent or shall be, and addresses that get nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text, text
from sqlmodel import Field

from pbxcrm.contacts.name_likeness import LONGEST_ADDRESS
from pbxcrm.shared.columns import (
    ID,
    NEVER_REUSED,
    TableModel,
    json_object,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)

_OPEN = text("state IN ('queued', 'sending')")
_OF_HOOK = text("webhook_id IS NOT NULL")
_HAS_ID = text("message_id <> ''")


class MessageChannel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"  # to another program, not to the client


#: Channels whose messages go to clients: guards are asked, and whoever sees the deal sees them.
TO_CLIENTS = frozenset({MessageChannel.EMAIL.value, MessageChannel.SMS.value})


class DeliveryState(StrEnum):
    """What became of a message."""

    QUEUED = "queued"  # it is sent at ``due_at``
    SENDING = "sending"  # a worker has it; past ``due_at`` nobody knows what became of it
    SENT = "sent"
    FAILED = "failed"
    REFUSED = "refused"  # a guard spoke: the client said no, has no address …
    UNKNOWN = "unknown"  # it may have been sent, and a person decides
    WATCH = "watch"  # nothing was sent: the rule only watches
    LEFT = "left"  # it was not known whether it was sent, and somebody left it so


class MessageTemplate(TableModel, table=True):
    """A text for clients. ``subjects`` and ``texts``: by language, with fields in braces (``template_rules``). SMS have no subject."""

    __tablename__ = "message_templates"

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    channel: str = Field(max_length=8)  # a MessageChannel
    subjects: dict[str, Any] = json_object()
    texts: dict[str, Any] = json_object()
    created_at: datetime = utc_column()
    archived_at: datetime | None = maybe_utc_column()
    version: int = 1


class Webhook(TableModel, table=True):
    """Another program that rules call. ``secret`` signs what is sent; it is shown once and never again. Of a deleted one what was sent
    stays; its name is free, and it has no secret.
    """

    __tablename__ = "webhooks"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    address: str = Field(max_length=500)
    secret: str = Field(max_length=64, repr=False)
    is_on: bool = True
    created_at: datetime = utc_column()
    deleted_at: datetime | None = maybe_utc_column()
    version: int = 1


class SmsGateway(TableModel, table=True):
    """The one gateway of SMS, as its form describes it (``gateway_rules``). ``secret`` is never shown again."""

    __tablename__ = "sms_gateways"

    id: int | None = row_id()
    is_on: bool = True
    address: str = Field(max_length=500)
    method: str = Field(max_length=8)
    headers: str = Field(default="", max_length=1000)  # one a line: ``Name: value``
    body_format: str = Field(max_length=8)  # a BodyFormat
    body: str = Field(default="", max_length=4000)
    sender: str = Field(default="", max_length=30)  # the name that the client sees
    secret: str = Field(default="", max_length=200, repr=False)
    taken_path: str = Field(default="", max_length=100)  # where a JSON answer says that it was taken
    error_path: str = Field(default="", max_length=200)
    taken_words: str = Field(default="", max_length=100)  # words of an answer that took it
    knows_repeats: bool = False  # it takes a message with a known ``id`` or ``key`` once
    changed_at: datetime = utc_column()
    version: int = 1


class Delivery(TableModel, table=True):
    """A message with an effect outside, as it was or shall be sent.

    It is written in the transaction of what wants it and sent after the commit. ``key`` is the same for the same message, so that it is
    written once. ``rule_id`` and ``event_id`` name the firing of a rule (no links: the rules stand above this room). ``data`` is the
    channel's own; of an e-mail the ``secret`` of its link that ends messages, and the ``language`` of its text. ``said``: a stored Reason, the last error or why it was refused; ``answer``: the words of the other side.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_due", "channel", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_deliveries_deal_id", "deal_id", "created_at"),
        Index("ix_deliveries_contact_id", "contact_id", "created_at"),
        Index("ix_deliveries_message_id", "message_id", sqlite_where=_HAS_ID, postgresql_where=_HAS_ID),
        Index("ix_deliveries_webhook_id", "webhook_id", "id", sqlite_where=_OF_HOOK, postgresql_where=_OF_HOOK),
        NEVER_REUSED,
    )

    id: int | None = row_id()
    key: str = Field(max_length=150, unique=True)
    channel: str = Field(max_length=8)
    state: str = Field(max_length=8)  # a DeliveryState
    template_id: int | None = maybe_link("message_templates.id", index=False)
    webhook_id: int | None = maybe_link("webhooks.id", index=False)
    deal_id: int | None = maybe_link("deals.id", index=False)
    contact_id: int | None = maybe_link("contacts.id", index=False)
    rule_id: int | None = Field(default=None, sa_type=ID)
    event_id: int | None = Field(default=None, sa_type=ID)
    by_id: int | None = maybe_link("users.id", index=False)  # who sent it by hand
    is_test: bool = False  # to the recipients of tests, and no guard is asked
    address: str = Field(max_length=500)  # an e-mail address, a number, a URL
    subject: str = Field(default="", max_length=300)
    body: str = Field(default="", sa_type=Text)
    data: dict[str, Any] = json_object()
    why: dict[str, Any] = json_object()  # a stored Reason: which rule
    said: dict[str, Any] = json_object()
    answer: str = Field(default="", max_length=500)
    message_id: str = Field(default="", max_length=300)  # of an e-mail: its answers name it
    created_at: datetime = utc_column()
    due_at: datetime = utc_column()
    tries: int = 0
    sent_at: datetime | None = maybe_utc_column()
    version: int = 1


class MessageStop(TableModel, table=True):
    """An address that gets no message: its owner said no."""

    __tablename__ = "message_stops"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    address: str = Field(max_length=LONGEST_ADDRESS, unique=True)  # in lower case; a number in its normal form
    note: str = Field(default="", max_length=200)
    by_id: int | None = maybe_link("users.id", index=False)  # None: whoever got a message pressed the link in it
    why: dict[str, Any] = json_object()  # a stored Reason, if nobody of ours did it
    at: datetime = utc_column()
