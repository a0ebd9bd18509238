"""Tables of clients: people and companies, how to reach them, and numbers that are nobody's client."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import link, maybe_link, row_id, utc_column
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.search_words import keep_words
from pbxcrm.shared.text_match import folded_text, keep_folded


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
    """A client: a person who calls or is called."""

    __tablename__ = "contacts"
    __table_args__ = (Index("ix_contacts_name_folded", "name_folded"),)

    id: int | None = row_id()
    name: str = Field(default="", max_length=200)
    name_folded: str = folded_text()
    company_id: int | None = maybe_link("companies.id")
    responsible_id: int | None = maybe_link("users.id")
    note: str = Field(default="", max_length=4000)
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

    id: int | None = row_id()
    contact_id: int = link("contacts.id", ondelete="CASCADE")
    address: str = Field(max_length=254, index=True)
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


keep_folded(Company, "name")
keep_folded(Contact, "name")
keep_words(Contact, "note")
