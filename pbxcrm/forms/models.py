"""The tables of web forms with their consent texts, of the requests that came, and of the mailboxes that are read."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from pbxcrm.contacts.name_likeness import LONGEST_ADDRESS
from pbxcrm.shared.columns import (
    ID,
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
from pbxcrm.shared.numbers import LONGEST_NUMBER


class FormKind(StrEnum):
    """Where the requests of a form come from."""

    WEB = "web"  # a form on a page of ours, on another site, or a site's own form
    MAIL = "mail"  # a mailbox of the settings


class RequestState(StrEnum):
    """What became of a request."""

    DEAL = "deal"  # it made a deal
    JOINED = "joined"  # the client had an open deal in the pipeline: it is there
    ASIDE = "aside"  # from a robot: no deal, until a person says that it is a request


@cached_config
class WebForm(TableModel, table=True):
    """A form, with what becomes of its requests. ``key`` is its name in addresses, ``secret`` never leaves the server.

    ``fields``: stored ``rules.FormField``, in order. ``consent_version`` is the current one; 0: the form asks for no consent.
    """

    __tablename__ = "web_forms"
    __table_args__ = (UniqueConstraint("key", name="uq_web_forms_key"),)

    id: int | None = row_id()
    kind: str = Field(max_length=4)  # a FormKind
    key: str = Field(max_length=32)
    secret: str = Field(max_length=64)
    name: str = Field(max_length=100)
    mailbox: str = Field(default="", max_length=32)  # the name of a mailbox in the settings
    pipeline_id: int = link("pipelines.id", index=False)
    responsible_id: int | None = maybe_link(
        "users.id", index=False
    )  # who gets requests that nobody else has a claim to
    source: str = Field(default="", max_length=100)  # of deals whose request names none
    language: str = Field(max_length=2)
    title: str = Field(default="", max_length=200)
    intro: str = Field(default="", max_length=2000)
    button: str = Field(default="", max_length=60)
    thanks: str = Field(default="", max_length=2000)
    thanks_url: str = Field(default="", max_length=500)
    fields: list[dict[str, Any]] = json_list()
    consent_version: int = 0
    origins: list[str] = json_list()  # of the sites that may show the form: https://example.com
    asks_proof: bool = False
    per_minute: int = 10  # requests from one address
    archived_at: datetime | None = maybe_utc_column()  # takes no requests
    version: int = 1


class FormConsent(TableModel, table=True):
    """A version of the text to which people consent with a request. It is never changed, so that each request keeps its text."""

    __tablename__ = "form_consents"
    __table_args__ = (UniqueConstraint("form_id", "version"),)

    id: int | None = row_id()
    form_id: int = link("web_forms.id", index=False)
    version: int
    text: str = Field(max_length=4000)
    since: datetime = utc_column()


class FormRequest(TableModel, table=True):
    """A request as it came. ``dedup_key`` is the sender's key, else made of the content: the same one comes in once.

    ``answers``: ``[[label, text], …]`` in the order of the form. ``fault``: a stored Reason, the last step of the repeat sale that
    failed, where a client who had bought before came through the form.
    """

    __tablename__ = "form_requests"
    __table_args__ = (
        UniqueConstraint("form_id", "dedup_key"),
        Index("ix_form_requests_content", "form_id", "content_hash", "at"),
        Index("ix_form_requests_address", "form_id", "address_hash", "at"),
        Index("ix_form_requests_proof", "form_id", "proof"),
        Index("ix_form_requests_at", "at"),
    )

    id: int | None = row_id()
    form_id: int = link("web_forms.id", index=False)
    dedup_key: str = Field(max_length=64)
    content_hash: str = Field(max_length=64)
    address_hash: str = Field(
        default="", max_length=32
    )  # of the sender's network address, for the limit; it cannot be read back
    proof: str = Field(default="", max_length=32)  # the proof of work that was used up
    at: datetime = utc_column()
    name: str = Field(default="", max_length=200)
    number: str | None = Field(default=None, max_length=LONGEST_NUMBER)  # in E.164 if possible
    email: str = Field(default="", max_length=LONGEST_ADDRESS)
    subject: str = Field(default="", max_length=200)
    text: str = Field(default="", sa_type=Text)
    answers: list[list[str]] = json_list()
    source: str = Field(default="", max_length=100)
    page: str = Field(default="", max_length=500)
    referrer: str = Field(default="", max_length=500)
    utm: dict[str, Any] = json_object()
    consent_version: int = 0  # that the sender agreed to; 0: none was asked
    message_id: str = Field(default="", max_length=300)  # of an e-mail
    state: str = Field(max_length=8)  # a RequestState
    reason: dict[str, Any] = json_object()  # why it is in this state
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    is_existing: bool = False  # the sender had bought before
    fault: dict[str, Any] = json_object()
    files: list[dict[str, Any]] = json_list()  # of one set aside: the name and the stored ``files.store.Kept`` of each


class Mailbox(TableModel, table=True):
    """How far a mailbox of the settings has been read, and whether it can be reached. Its address and password are in the settings.

    A worker that reads it claims it by moving ``next_at``.
    """

    __tablename__ = "mailboxes"

    name: str = Field(max_length=32, primary_key=True)
    uid_validity: int | None = Field(default=None, sa_type=ID)  # None: not read yet
    last_uid: int = Field(default=0, sa_type=ID)
    next_at: datetime = utc_column()
    read_at: datetime | None = maybe_utc_column()  # when it was last reached
    error: str = Field(default="", max_length=500)  # of the last attempt; empty: it was reached
    error_since: datetime | None = maybe_utc_column()
