"""Tables of clients: people and companies, how to reach them, and numbers that are nobody's client."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from pbxcrm.contacts.likeness import LONGEST_ADDRESS, address_key, keep_key, name_key
from pbxcrm.shared.columns import ID, json_list, json_object, link, maybe_link, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.search_words import keep_words
from pbxcrm.shared.text_match import folded_text, keep_folded

_KEYED = text("name_key <> ''")


class Company(SQLModel, table=True):
    """A firm that clients belong to. ``name_folded`` is kept by the ORM for searching."""

    __tablename__ = "companies"
    __table_args__ = (Index("ix_companies_name_folded", "name_folded"),)

    id: int | None = row_id()
    name: str = Field(max_length=200)
    name_folded: str = folded_text()
    responsible_id: int | None = maybe_link("users.id")
    note: str = Field(default="", max_length=4000)
    created_at: datetime = utc_column()
    version: int = 1


class Contact(SQLModel, table=True):
    """A client: a person who calls or is called.

    One of several that were the same person is ``merged_into_id`` another: it keeps what stood in it and is shown nowhere.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        Index("ix_contacts_name_folded", "name_folded"),
        # Who may be the same person: without the row, and without those that nobody can be taken for.
        Index("ix_contacts_name_key", "name_key", "id", sqlite_where=_KEYED, postgresql_where=_KEYED),
    )

    id: int | None = row_id()
    name: str = Field(default="", max_length=200)
    name_folded: str = folded_text()
    company_id: int | None = maybe_link("companies.id")
    responsible_id: int | None = maybe_link("users.id")
    note: str = Field(default="", max_length=4000)
    # No index: SQLite would find all the others by it.
    merged_into_id: int | None = maybe_link("contacts.id", index=False)
    name_key: str = Field(default="", sa_type=Text, nullable=False)  # alike for one name in any spelling
    created_at: datetime = utc_column()
    version: int = 1


class Phone(SQLModel, table=True):
    """A number of a contact; E.164 where it can be. Several contacts may share one."""

    __tablename__ = "phones"
    __table_args__ = (Index("ix_phones_number", "number", "contact_id"),)  # a part of a number: without the row

    id: int | None = row_id()
    contact_id: int = link("contacts.id", ondelete="CASCADE")
    number: str = Field(max_length=LONGEST_NUMBER)
    extension: str = Field(default="", max_length=8)  # what is dialled once it answers: 12 of "044 200 10 20 ext. 12"
    label: str = Field(default="", max_length=50)

    @property
    def written(self) -> str:
        """As one types it into a form."""
        return f"{self.number} ext. {self.extension}" if self.extension else self.number


class Email(SQLModel, table=True):
    """An address of a contact, as it was typed."""

    __tablename__ = "emails"
    __table_args__ = (Index("ix_emails_address_key", "address_key", "contact_id"),)

    id: int | None = row_id()
    contact_id: int = link("contacts.id", ondelete="CASCADE")
    address: str = Field(max_length=LONGEST_ADDRESS, index=True)
    address_key: str = Field(default="", max_length=LONGEST_ADDRESS)  # in small letters
    label: str = Field(default="", max_length=50)


class NumberKind(StrEnum):
    """Why a number is nobody's client."""

    OWN = "own"  # ours: a branch, a colleague's mobile; makes no deals and no misses
    SPAM = "spam"  # not a client


class SpecialNumber(SQLModel, table=True):
    """A number whose calls make no deals and no callbacks."""

    __tablename__ = "special_numbers"

    number: str = Field(max_length=LONGEST_NUMBER, primary_key=True)
    kind: str = Field(max_length=8)  # a NumberKind
    note: str = Field(default="", max_length=200)
    added_by_id: int | None = maybe_link("users.id", index=False)
    added_at: datetime = utc_column()


class Merge(SQLModel, table=True):
    """Two clients became one. It holds what it takes to make them two again, whenever that is.

    ``moved`` are the rows that went over, ``{table: [[id, version or null], …]}``; ``adopted`` those that nobody had before, in the
    same form; ``numbers`` and ``emails`` what the other one had, ``[{number, extension, label, shared}]``; ``fields`` what the
    survivor took, ``{field: [before, after]}``; ``marks`` the highest id of each table then; ``parts`` what other contexts need.
    """

    __tablename__ = "merges"

    id: int | None = row_id()
    from_id: int = link("contacts.id")
    into_id: int = link("contacts.id")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()
    moved: dict[str, Any] = json_object()
    adopted: dict[str, Any] = json_object()
    numbers: list[dict[str, Any]] = json_list()
    emails: list[dict[str, Any]] = json_list()
    fields: dict[str, Any] = json_object()
    marks: dict[str, Any] = json_object()
    parts: dict[str, Any] = json_object()
    undone_at: datetime | None = maybe_utc_column()
    undone_by_id: int | None = maybe_link("users.id", index=False)
    left: list[dict[str, Any]] = json_list()  # what the undo left as it was: ``contacts.hooks.Left``, stored


class NotSame(SQLModel, table=True):
    """Somebody looked at two clients who are alike and said that they are two. ``low_id`` is the smaller id."""

    __tablename__ = "not_same"

    low_id: int = Field(foreign_key="contacts.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    high_id: int = Field(foreign_key="contacts.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()


keep_folded(Company, "name")
keep_folded(Contact, "name")
keep_words(Contact, "note")
keep_key(Contact, "name", "name_key", name_key)
keep_key(Email, "address", "address_key", address_key)
