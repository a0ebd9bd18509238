"""Column helpers shared by every context's ``models.py``."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer
from sqlmodel import Field, SQLModel

from pbxcrm.shared.db import UtcDateTime

LARGEST_ID = 2**63 - 1  # what an id from outside may be: PostgreSQL refuses to compare with a larger one

# Every constraint has a name of its own, so that a later migration can name what it changes, also on SQLite.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


#: 32 bits are full after 67 days of outbox rows at 50 calls a second. SQLite's own ids have 64 bits, and must be called INTEGER.
ID = BigInteger().with_variant(Integer(), "sqlite")


def row_id() -> int | None:
    """The primary key of a table, counted by the database."""
    return Field(default=None, primary_key=True, sa_type=ID)  # type: ignore[no-any-return]


def utc_column(*, index: bool = False) -> datetime:
    """A required aware UTC time."""
    return Field(sa_type=UtcDateTime, nullable=False, index=index)  # type: ignore[no-any-return]


def maybe_utc_column(*, index: bool = False) -> datetime | None:
    """An aware UTC time that may be missing."""
    return Field(default=None, sa_type=UtcDateTime, nullable=True, index=index)  # type: ignore[no-any-return]


def link(target: str, *, index: bool = True, ondelete: str | None = None) -> int:
    """A required foreign key."""
    return Field(sa_column=Column(ID, ForeignKey(target, ondelete=ondelete), nullable=False, index=index))  # type: ignore[no-any-return]


def maybe_link(target: str, *, index: bool = True, use_alter: bool = False, name: str | None = None) -> int | None:
    """A foreign key that may be missing. ``use_alter`` where two tables point at each other."""
    key = ForeignKey(target, use_alter=use_alter, name=name)
    return Field(default=None, sa_column=Column(ID, key, nullable=True, index=index))  # type: ignore[no-any-return]


def json_list() -> list[Any]:
    """A JSON column that begins as an empty list."""
    return Field(default_factory=_empty_list, sa_type=JSON, nullable=False)  # type: ignore[no-any-return]


def json_object() -> dict[str, Any]:
    """A JSON column that begins as an empty object."""
    return Field(default_factory=_empty_dict, sa_type=JSON, nullable=False)  # type: ignore[no-any-return]


# Functions of our own: pydantic looks at the signature of a factory each time a row is made, and to look at that of ``list``
# or ``dict`` it parses text, which took a tenth of the time that a call needs.
def _empty_list() -> list[Any]:
    return []


def _empty_dict() -> dict[str, Any]:
    return {}
