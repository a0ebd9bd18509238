"""The tables of custom fields. The values stand in the column ``custom`` of the entity's own table (``values_column``)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from pbxcrm.formulas.reading import LONGEST as LONGEST_FORMULA
from pbxcrm.shared.columns import ID, NEVER_REUSED, TableModel, json_list, maybe_link, maybe_utc_column, row_id
from pbxcrm.shared.config_cache import cached_config


class FieldEntity(StrEnum):
    """What has custom fields."""

    DEAL = "deal"
    CONTACT = "contact"
    COMPANY = "company"


#: The table of each entity.
TABLES = {FieldEntity.DEAL: "deals", FieldEntity.CONTACT: "contacts", FieldEntity.COMPANY: "companies"}


class ValueKind(StrEnum):
    """The type of a field. It never changes: values would lose their meaning."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    MOMENT = "moment"
    CHOICE = "choice"
    SEVERAL = "several"
    YES_NO = "yes_no"
    FILE = "file"
    PERSON = "person"
    LINK = "link"
    PHONE = "phone"
    ADDRESS = "address"


class LinkTarget(StrEnum):
    """What a field of the kind *link* points to."""

    WEB = "web"
    DEAL = "deal"
    CONTACT = "contact"
    COMPANY = "company"


@cached_config
class FieldSection(TableModel, table=True):
    """A heading under which fields of one entity stand together."""

    __tablename__ = "field_sections"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    entity: str = Field(max_length=8)  # a FieldEntity
    name: str = Field(max_length=100)
    position: int = 0


@cached_config
class FieldDefinition(TableModel, table=True):
    """A custom field. ``key`` is its name for programs and never changes; an archived field keeps its key, options and values.

    ``options``: ``[{"id", "name", "retired"}]``; ids count up in ``options_made`` and are never used again. ``pipeline_ids``
    and ``shown_stage_ids`` limit where a field of deals is shown; empty lists do not limit. Which stages require it stands in
    ``Stage.requires``, the one rule of the gates. With a ``formula`` nobody fills the field in: its value is computed from others of the row.
    """

    __tablename__ = "field_definitions"
    __table_args__ = (UniqueConstraint("entity", "key"), Index("ix_field_definitions_section_id", "section_id"))

    id: int | None = row_id()
    entity: str = Field(max_length=8)  # a FieldEntity
    key: str = Field(max_length=40)
    kind: str = Field(max_length=16)  # a ValueKind
    name: str = Field(max_length=100)
    hint: str = Field(default="", max_length=300)
    section_id: int | None = maybe_link("field_sections.id", index=False)
    position: int = 0
    options: list[dict[str, Any]] = json_list()
    options_made: int = 0
    target: str = Field(default="", max_length=8)  # a LinkTarget
    currency: str = Field(default="", max_length=3)  # of money
    pipeline_ids: list[int] = json_list()
    shown_stage_ids: list[int] = json_list()
    is_unique: bool = False
    filterable: bool = False
    indexed_at: datetime | None = maybe_utc_column()  # when the index for filter and sort was ready
    archived_at: datetime | None = maybe_utc_column()
    formula: str = Field(default="", max_length=LONGEST_FORMULA)  # empty: people fill the field in
    version: int = 1


def values_column() -> dict[str, Any]:
    """The values of a row's custom fields by field id (``rules`` says how each kind is stored): ``{"12": 7, "13": "Lviv"}``.

    A text has its search key beside it (``"13k"``), by which it is compared, and the key by which it is sorted (``"13s"``). The database fills in ``{}`` where rows come past
    the ORM.
    """
    kind = JSON().with_variant(JSONB(), "postgresql")
    return Field(default_factory=_no_values, sa_column=Column(kind, nullable=False, server_default="{}"))  # type: ignore[no-any-return]


def _no_values() -> dict[str, Any]:
    return {}


class ListColumns(TableModel, table=True):
    """The columns that a person has chosen for a list: names of built-in ones, and ``field.KEY`` of custom fields, in order."""

    __tablename__ = "list_columns"

    user_id: int = Field(foreign_key="users.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    entity: str = Field(max_length=8, primary_key=True)  # a FieldEntity
    columns: list[str] = json_list()
