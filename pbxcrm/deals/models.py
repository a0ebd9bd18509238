"""The tables of pipelines, stages, deals with their tags, people and watchers, moves between stages, saved views, bulk changes, merges, and notes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from pbxcrm.fields.models import values_column
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
from pbxcrm.shared.db import Money
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.search_words import keep_words
from pbxcrm.shared.text_match import folded_text, keep_folded
from pbxcrm.shared.typed_reasons import LONGEST_WHY

_OF_COMPANY = text("company_id IS NOT NULL")
_OPEN = text("closed_at IS NULL")
_CLOSED = text("closed_at IS NOT NULL")


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


LONGEST_TAG = 40
LONGEST_PLAN_DAYS = 90
CLOSED_KINDS = (StageKind.WON, StageKind.LOST)


@cached_config
class Pipeline(TableModel, table=True):
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
    longest_plan_days: int = LONGEST_PLAN_DAYS  # for so long a next task counts as work, however late it is due
    amount_by_lines: bool = False  # the amount of a deal with lines is their sum, and nobody types another
    archived_at: datetime | None = maybe_utc_column()
    version: int = 1


@cached_config
class Stage(TableModel, table=True):
    """A column of the board, with its norm and its requirements for entering deals."""

    __tablename__ = "stages"

    id: int | None = row_id()
    pipeline_id: int = link("pipelines.id")
    name: str = Field(max_length=100)  # as the administrator wrote it; the shipped ones are translated when shown
    kind: str = Field(max_length=16)  # a StageKind
    position: int  # unique in its pipeline; an archived one keeps its own, so that it can come back to its place
    probability: int = 0  # percent of winning
    norm_minutes: int | None = None  # working minutes; None: no norm
    instruction: str = Field(default="", max_length=4000)
    colour: str = Field(default="", max_length=8)  # a Colour
    waits_for_client: bool = False  # the client waits for us, or we wait for the client
    extra_control: bool = False  # quality control looks at these deals
    requires: dict[str, Any] = json_object()  # a stored ``pipeline_rules.Requirements``
    archived_at: datetime | None = maybe_utc_column()  # no deal may enter any more; the history stays
    version: int = 1


class Deal(TableModel, table=True):
    """A card on the board. ``version`` grows with each change, so that an outdated form never overwrites a newer change.

    A deal that was merged has ``merged_into_id``: it keeps its fields, its stage and its history, is closed, and is not shown.
    """

    __tablename__ = "deals"
    __table_args__ = (
        Index("ix_deals_board", "pipeline_id", "stage_id", "stage_since", "id", "responsible_id", "merged_into_id"),
        # All that the head of a column of somebody's board adds up.
        Index("ix_deals_stage_id", "stage_id", "responsible_id", "stage_since", "amount", "id", "merged_into_id"),
        Index(
            "ix_deals_contact_id", "contact_id", "responsible_id", "merged_into_id"
        ),  # otherwise SQLite chooses the index of the responsible person
        # Covering: whether the client of somebody's deal has a name that is searched for, without reading all their deals.
        Index(
            "ix_deals_responsible_id",
            "responsible_id",
            "contact_id",
            "pipeline_id",
            "stage_id",
            "id",
            "merged_into_id",
        ),
        Index("ix_deals_open", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_deals_closed_at", "closed_at", sqlite_where=_CLOSED, postgresql_where=_CLOSED),
        # Few deals have a company: among all that have none SQLite would expect nothing of the index.
        Index("ix_deals_company_id", "company_id", sqlite_where=_OF_COMPANY, postgresql_where=_OF_COMPANY),
    )

    id: int | None = row_id()
    title: str = Field(max_length=200)
    title_folded: str = folded_text()
    pipeline_id: int = link("pipelines.id", index=False)
    stage_id: int = link("stages.id", index=False)
    responsible_id: int | None = maybe_link("users.id", index=False)
    contact_id: int | None = maybe_link("contacts.id", index=False)
    company_id: int | None = maybe_link("companies.id", index=False)
    client_number: str | None = Field(default=None, max_length=LONGEST_NUMBER, index=True)
    # Of a reopened deal, since when it is open again; of one that follows another, since when that one has the number.
    number_since: datetime | None = (
        maybe_utc_column()
    )  # None: as long as there is the deal (``contacts/number_owners``)
    amount: Decimal | None = Field(default=None, sa_type=Money)
    currency: str = Field(max_length=3)
    source: str = Field(default="", max_length=100)
    # Dates that people fill in and checkpoints may watch (deals/fields.py).
    proposal_until: datetime | None = maybe_utc_column()
    invoice_until: datetime | None = maybe_utc_column()
    event_at: datetime | None = maybe_utc_column()
    survey_at: datetime | None = maybe_utc_column()
    custom: dict[str, Any] = values_column()
    follows_id: int | None = maybe_link("deals.id")  # the won deal that this one follows
    # No index of its own: SQLite would use it to find all deals that are not merged.
    merged_into_id: int | None = maybe_link("deals.id", index=False)
    made_by_call_id: int | None = maybe_link("calls.id", use_alter=True, name="fk_deals_made_by_call_id")
    lost_reason: str = Field(default="", max_length=LONGEST_WHY)
    created_at: datetime = utc_column(index=True)
    stage_since: datetime = utc_column()
    closed_at: datetime | None = maybe_utc_column()  # no index: SQLite would use it to read all open deals
    reason: dict[str, Any] = json_object()  # why it exists and who is responsible: a stored Reason
    version: int = 1


class Tag(TableModel, table=True):
    """A word that people put on deals. ``key`` is its search key, so that two spellings of one word are one tag."""

    __tablename__ = "tags"

    id: int | None = row_id()
    name: str = Field(max_length=LONGEST_TAG)
    key: str = Field(max_length=4 * LONGEST_TAG, unique=True)


class DealTag(TableModel, table=True):
    """A deal has a tag."""

    __tablename__ = "deal_tags"
    __table_args__ = (Index("ix_deal_tags_tag_id", "tag_id", "deal_id"),)

    deal_id: int = Field(foreign_key="deals.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    tag_id: int = Field(foreign_key="tags.id", primary_key=True, sa_type=ID, ondelete="CASCADE")


class DealPerson(TableModel, table=True):
    """Somebody besides the client who has to do with a deal: the accountant who pays, the one who decides.

    The client is ``Deal.contact_id``. Two rows may name one person after a merge of clients; readers show the first.
    """

    __tablename__ = "deal_people"

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    contact_id: int = link("contacts.id")
    role: str = Field(default="", max_length=60)  # in the words of the office
    removed_at: datetime | None = maybe_utc_column()  # they can be put back
    version: int = 1


class DealWatcher(TableModel, table=True):
    """Somebody who is told of moves and notes of a deal. It lets nobody see a deal: ``deals.access`` alone does."""

    __tablename__ = "deal_watchers"

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    user_id: int = link("users.id")
    at: datetime = utc_column()


class BulkChange(TableModel, table=True):
    """What a background job has changed in one deal. ``before`` holds what its undo restores."""

    __tablename__ = "bulk_changes"

    job_id: int = Field(foreign_key="background_jobs.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    deal_id: int = Field(foreign_key="deals.id", primary_key=True, sa_type=ID, ondelete="CASCADE", index=True)
    before: dict[str, Any] = json_object()
    is_undone: bool = False


STAGE_REMOVED = "deal.stage_archived"  # the reason of a move out of a stage that was removed


class StageMove(TableModel, table=True):
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


def is_by_structure(why: Mapping[str, Any]) -> bool:
    """Whether a move with this stored reason is a change of the pipeline and nobody's work: its stage was removed from under the deal."""
    return why.get("code") == STAGE_REMOVED


class DealMerge(TableModel, table=True):
    """A merge of two deals of one client, with all that an undo needs; the columns are those of ``contacts.models.Merge``."""

    __tablename__ = "deal_merges"

    id: int | None = row_id()
    from_id: int = link("deals.id", ondelete="CASCADE")
    into_id: int = link("deals.id", ondelete="CASCADE")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()
    moved: dict[str, Any] = json_object()
    fields: dict[str, Any] = json_object()  # what the survivor took: {column: [before, after]}
    marks: dict[str, Any] = json_object()
    parts: dict[str, Any] = json_object()
    undone_at: datetime | None = maybe_utc_column()
    undone_by_id: int | None = maybe_link("users.id", index=False)
    left: list[dict[str, Any]] = json_list()  # what the undo did not restore: stored ``contacts.hooks.Left``


class Note(TableModel, table=True):
    """A note on a deal, on a contact or about a call, or on several of them."""

    __tablename__ = "notes"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    deal_id: int | None = maybe_link("deals.id")
    contact_id: int | None = maybe_link("contacts.id")
    call_id: int | None = maybe_link("calls.id")
    author_id: int | None = maybe_link("users.id", index=False)  # None: a rule wrote it
    text: str = Field(max_length=10_000)
    at: datetime = utc_column()
    pinned_at: datetime | None = maybe_utc_column()  # stands above the timeline of its deal
    version: int = 1


keep_folded(Deal, "title")
keep_words(Note, "text")
