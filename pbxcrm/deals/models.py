"""The tables of pipelines, stages, deals, moves between stages, and notes."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import json_list, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.db import Money
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.search_words import keep_words
from pbxcrm.shared.text_match import folded_text, keep_folded
from pbxcrm.shared.typed_reasons import LONGEST_WHY


class StageKind(StrEnum):
    """The meaning of a stage for the product, independent of its name."""

    UNSORTED = "unsorted"
    DIDNT_REACH = "didnt_reach"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Colour(StrEnum):
    """The colour of a stage's head. Signal colours (red, amber, green) have other meanings, so they are not offered."""

    NONE = ""
    BLUE = "blue"
    VIOLET = "violet"
    TEAL = "teal"
    PINK = "pink"
    BROWN = "brown"
    GREY = "grey"


class Carried(StrEnum):
    """What a won deal passes to the one that follows it in the next pipeline."""

    CLIENT = "client"  # contact, company and number
    RESPONSIBLE = "responsible"
    AMOUNT = "amount"
    SOURCE = "source"
    NOTES = "notes"


CLOSED_KINDS = (StageKind.WON, StageKind.LOST)


@cached_config
class Pipeline(SQLModel, table=True):
    """A sequence of stages. New deals go to the default pipeline."""

    __tablename__ = "pipelines"

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    position: int = 0
    is_default: bool = False
    next_pipeline_id: int | None = maybe_link("pipelines.id", index=False)  # a won deal continues there as a new deal
    carries: list[str] = json_list()  # values of ``Carried``
    asks_why_lost: bool = False  # a lost deal creates a task to find out why
    attempt_schedule: dict[str, Any] = json_object()  # a stored ``AttemptSchedule``; empty: none of its own
    archived_at: datetime | None = maybe_utc_column()
    version: int = 1


@cached_config
class Stage(SQLModel, table=True):
    """A column of the board, with its norm and its requirements for entering deals."""

    __tablename__ = "stages"

    id: int | None = row_id()
    pipeline_id: int = link("pipelines.id")
    name: str = Field(max_length=100)  # as the administrator wrote it; the shipped ones are translated when shown
    kind: str = Field(max_length=16)  # a StageKind
    position: int
    probability: int = 0  # percent of winning
    norm_minutes: int | None = None  # working minutes; None: no norm
    instruction: str = Field(default="", max_length=4000)
    colour: str = Field(default="", max_length=8)  # a Colour
    waits_for_client: bool = False  # the client waits for us, or we wait for the client
    extra_control: bool = False  # quality control looks at these deals
    requires: dict[str, Any] = json_object()  # a stored ``pipeline_rules.Requirements``
    archived_at: datetime | None = maybe_utc_column()  # no deal may enter any more; the history stays
    version: int = 1


class Deal(SQLModel, table=True):
    """A card on the board. ``version`` grows with each change, so that an outdated form never overwrites a newer change."""

    __tablename__ = "deals"
    __table_args__ = (
        Index("ix_deals_board", "pipeline_id", "stage_id", "stage_since", "id", "responsible_id"),
        # All that the head of a column of somebody's board adds up.
        Index("ix_deals_stage_id", "stage_id", "responsible_id", "stage_since", "amount", "id"),
        Index(
            "ix_deals_contact_id", "contact_id", "responsible_id"
        ),  # otherwise SQLite chooses the index of the responsible person
    )

    id: int | None = row_id()
    title: str = Field(max_length=200)
    title_folded: str = folded_text()
    pipeline_id: int = link("pipelines.id", index=False)
    stage_id: int = link("stages.id", index=False)
    responsible_id: int | None = maybe_link("users.id")
    contact_id: int | None = maybe_link("contacts.id", index=False)
    company_id: int | None = maybe_link("companies.id")
    client_number: str | None = Field(default=None, max_length=LONGEST_NUMBER, index=True)
    amount: Decimal | None = Field(default=None, sa_type=Money)
    currency: str = Field(max_length=3)
    source: str = Field(default="", max_length=100)
    # Dates that people fill in and checkpoints may watch (deals/fields.py).
    proposal_until: datetime | None = maybe_utc_column()
    invoice_until: datetime | None = maybe_utc_column()
    event_at: datetime | None = maybe_utc_column()
    survey_at: datetime | None = maybe_utc_column()
    follows_id: int | None = maybe_link("deals.id")  # the won deal that this one follows
    made_by_call_id: int | None = maybe_link("calls.id", use_alter=True, name="fk_deals_made_by_call_id")
    lost_reason: str = Field(default="", max_length=LONGEST_WHY)
    created_at: datetime = utc_column(index=True)
    stage_since: datetime = utc_column()
    closed_at: datetime | None = maybe_utc_column()  # no index: SQLite would use it to read all open deals
    reason: dict[str, Any] = json_object()  # why it exists and who is responsible: a stored Reason
    version: int = 1


class StageMove(SQLModel, table=True):
    """A deal entered a stage. The ``from_…`` columns hold the previous state, for undo; the first move of a deal has none."""

    __tablename__ = "stage_moves"
    __table_args__ = (Index("ix_stage_moves_at", "at"),)  # reports ask for a period

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    from_stage_id: int | None = maybe_link("stages.id", index=False)
    from_since: datetime | None = maybe_utc_column()  # when it had entered that stage
    from_lost_reason: str = Field(default="", max_length=LONGEST_WHY)
    to_stage_id: int = link("stages.id", index=False)
    by_id: int | None = maybe_link("users.id", index=False)  # None: the product itself; ``reason`` says why
    at: datetime = utc_column()
    reason: dict[str, Any] = json_object()


class Note(SQLModel, table=True):
    """A note on a deal, on a contact or about a call, or on several of them."""

    __tablename__ = "notes"

    id: int | None = row_id()
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    call_id: int | None = maybe_link("calls.id")
    author_id: int = link("users.id", index=False)
    text: str = Field(max_length=10_000)
    at: datetime = utc_column()
    version: int = 1


keep_folded(Deal, "title")
keep_words(Note, "text")
