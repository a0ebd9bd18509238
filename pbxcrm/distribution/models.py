"""Tables of distribution: the rules, whose turn it was, and what was chosen."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from pbxcrm.shared.columns import (
    ID,
    TableModel,
    json_list,
    json_object,
    maybe_link,
    maybe_utc_column,
    row_id,
    utc_column,
)
from pbxcrm.shared.config_cache import cached_config


@cached_config
class DistributionRule(TableModel, table=True):
    """Who gets new deals, and which. The first rule (by position) whose condition holds decides.

    ``query``: its condition as filters in an address, like a saved view; empty: every new deal. ``members``: stored ``rules.Member``.
    """

    __tablename__ = "distribution_rules"

    id: int | None = row_id()
    name: str = Field(max_length=100)
    position: int = 0
    is_on: bool = True
    query: str = Field(default="", max_length=2000)
    method: str = Field(max_length=16)  # a ``rules.Method``
    members: list[dict[str, Any]] = json_list()
    on_shift: bool = True  # only people who are at work at that moment
    most_open: int | None = None  # open deals; who has so many gets none by this rule
    most_per_day: int | None = None  # deals of this rule per calendar day
    otherwise: str = Field(max_length=8)  # a ``rules.Otherwise``: what happens if nobody can get it
    deleted_at: datetime | None = maybe_utc_column()  # kept for undo, and because choices name it
    version: int = 1


class DistributionTurn(TableModel, table=True):
    """When a person had their last turn in a rule: the largest number is the latest."""

    __tablename__ = "distribution_turns"

    rule_id: int = Field(foreign_key="distribution_rules.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    user_id: int = Field(foreign_key="users.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    turn: int = Field(sa_type=ID)


class DistributionChoice(TableModel, table=True):
    """What the rules said about one new deal. ``user_id`` is None if nobody could get it.

    ``subject`` is what was asked about (``call:12``): asked again, the stored answer is given and nobody loses a turn.
    """

    __tablename__ = "distribution_choices"
    __table_args__ = (Index("ix_distribution_choices_rule_id", "rule_id", "at", "user_id"),)

    id: int | None = row_id()
    rule_id: int | None = maybe_link("distribution_rules.id", index=False)
    user_id: int | None = maybe_link("users.id", index=False)
    subject: str | None = Field(default=None, max_length=100, unique=True)
    deal_id: int | None = maybe_link("deals.id")
    at: datetime = utc_column()
    reason: dict[str, Any] = json_object()
