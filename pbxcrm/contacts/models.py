"""Tables of contacts and companies, their numbers, addresses and consents, merges of both, and own and spam numbers and ranges of them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text, text
from sqlmodel import Field

from pbxcrm.contacts.name_likeness import LONGEST_ADDRESS, address_key, company_key, domain_key, keep_key, name_key
from pbxcrm.fields.models import values_column
from pbxcrm.shared.alphabet import order_key
from pbxcrm.shared.columns import (
    ID,
    NEVER_REUSED,
    TableModel,
    json_list,
    json_object,
    link,
    maybe_link,
    maybe_utc_column,
    ordered_text,
    row_id,
    utc_column,
)
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.search_words import keep_words
from pbxcrm.shared.spellings import keep_spellings
from pbxcrm.shared.text_match import folded_text, keep_folded

_KEYED = text("name_key <> ''")
_OF_OFFICE = text("domain_key <> ''")
_OF_COMPANY = text("company_id IS NOT NULL")  # an office may have clients without companies only
_BORN = text("birth_day IS NOT NULL")


class WayKind(StrEnum):
    """Where a number or an e-mail address reaches somebody."""

    MOBILE = "mobile"  # numbers only
    WORK = "work"
    HOME = "home"
    OTHER = "other"


class Company(TableModel, table=True):
    """A company that clients belong to. The ORM keeps ``name_folded`` up to date for searching.

    A company that was merged has ``merged_into_id``: it keeps its fields and is not shown.
    """

    __tablename__ = "companies"
    __table_args__ = (
        Index("ix_companies_name_folded", "name_folded"),
        Index("ix_companies_name_order", "name_order", "id"),
        Index("ix_companies_name_key", "name_key", "id", sqlite_where=_KEYED, postgresql_where=_KEYED),
    )

    id: int | None = row_id()
    name: str = Field(max_length=200)
    name_folded: str = folded_text()
    name_order: str = ordered_text()  # by which a list is sorted by name
    responsible_id: int | None = maybe_link("users.id")
    note: str = Field(default="", max_length=4000)
    # No index, as of a client's.
    merged_into_id: int | None = maybe_link("companies.id", index=False)
    # Equal for names that one company may have. The default of the database spares SQLite a copy of the table, without the indexes of
    # custom fields.
    name_key: str = Field(default="", sa_type=Text, nullable=False, sa_column_kwargs={"server_default": text("''")})
    custom: dict[str, Any] = values_column()
    created_at: datetime = utc_column(index=True)
    version: int = 1


class Contact(TableModel, table=True):
    """A client: a person who calls or is called.

    A client that was merged has ``merged_into_id``: it keeps its fields and is not shown. One that was erased on request has
    ``erased_at`` and nothing else: the row stays so that no other client gets its id.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        Index("ix_contacts_name_folded", "name_folded"),
        Index("ix_contacts_name_order", "name_order", "id"),
        # Covering partial index for finding duplicates.
        Index("ix_contacts_name_key", "name_key", "id", sqlite_where=_KEYED, postgresql_where=_KEYED),
        Index("ix_contacts_company_id", "company_id", sqlite_where=_OF_COMPANY, postgresql_where=_OF_COMPANY),
        Index("ix_contacts_birth_day", "birth_day", "id", sqlite_where=_BORN, postgresql_where=_BORN),
    )

    id: int | None = row_id()
    name: str = Field(default="", max_length=200)
    name_folded: str = folded_text()
    name_order: str = ordered_text()  # empty: without a name
    company_id: int | None = maybe_link("companies.id", index=False)
    responsible_id: int | None = maybe_link("users.id")
    note: str = Field(default="", max_length=4000)
    # No index: SQLite would use it to find all rows that are not merged.
    merged_into_id: int | None = maybe_link("contacts.id", index=False)
    name_key: str = Field(default="", sa_type=Text, nullable=False)  # equal for all spellings of one name
    birth_year: int | None = None  # None: only the day is known, or nothing
    birth_day: int | None = None  # month × 100 + day of the month: 1231
    language: str = Field(default="", max_length=2, sa_column_kwargs={"server_default": text("''")})  # empty: not known
    custom: dict[str, Any] = values_column()
    created_at: datetime = utc_column(index=True)
    erased_at: datetime | None = maybe_utc_column()
    version: int = 1


class Phone(TableModel, table=True):
    """A number of a contact, in E.164 if possible. Several contacts may share one."""

    __tablename__ = "phones"
    __table_args__ = (Index("ix_phones_number", "number", "contact_id"),)  # covering, for search by part of a number

    id: int | None = row_id()
    contact_id: int = link("contacts.id", ondelete="CASCADE")
    number: str = Field(max_length=LONGEST_NUMBER)
    extension: str = Field(default="", max_length=8)  # dialled after the answer: 12 in "044 200 10 20 ext. 12"
    label: str = Field(default="", max_length=50)
    kind: str = Field(default="", max_length=8)  # a WayKind; empty: not said
    is_main: bool = False  # at most one of a client; where none is, the oldest counts
    since: datetime | None = maybe_utc_column()  # None: as long as there is the contact (``number_owners``)

    @property
    def written(self) -> str:
        """The number and extension as typed in a form."""
        return f"{self.number} ext. {self.extension}" if self.extension else self.number


class Email(TableModel, table=True):
    """An e-mail address of a contact, as typed."""

    __tablename__ = "emails"
    __table_args__ = (
        Index("ix_emails_address_key", "address_key", "contact_id"),
        Index("ix_emails_domain_key", "domain_key", "contact_id", sqlite_where=_OF_OFFICE, postgresql_where=_OF_OFFICE),
    )

    id: int | None = row_id()
    contact_id: int = link("contacts.id", ondelete="CASCADE")
    address: str = Field(max_length=LONGEST_ADDRESS, index=True)
    address_key: str = Field(default="", max_length=LONGEST_ADDRESS)  # in lower case
    domain_key: str = Field(
        default="", max_length=LONGEST_ADDRESS
    )  # empty for a domain at which everybody can have an address
    label: str = Field(default="", max_length=50)
    kind: str = Field(default="", max_length=8)  # a WayKind but ``mobile``; empty: not said
    is_main: bool = False  # as of a number


class Consent(TableModel, table=True):
    """That a client gave or withdrew consent to the use of their data. Rows are only added: the newest says what holds.

    ``text_id``: the text that they agreed to; None where it was not a form's. ``source``: a form's name, or what somebody wrote:
    by telephone, on paper.
    """

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_contact_id", "contact_id", "id"),)

    id: int | None = row_id()
    contact_id: int = link("contacts.id", index=False)
    is_given: bool
    at: datetime = utc_column()
    source: str = Field(max_length=200)
    text_id: int | None = maybe_link("form_consents.id", index=False)
    by_id: int | None = maybe_link("users.id", index=False)  # None: the client, through a form


class NumberKind(StrEnum):
    """Why a number is not a client's."""

    OWN = "own"  # ours: a branch, a colleague's mobile; makes no deals and no callbacks
    SPAM = "spam"  # not a client


class SpecialNumber(TableModel, table=True):
    """A number whose calls make no deals and no callbacks."""

    __tablename__ = "special_numbers"

    number: str = Field(max_length=LONGEST_NUMBER, primary_key=True)
    kind: str = Field(max_length=8)  # a NumberKind
    note: str = Field(default="", max_length=200)
    added_by_id: int | None = maybe_link("users.id", index=False)
    added_at: datetime = utc_column()


@cached_config
class SpecialRange(TableModel, table=True):
    """Numbers from ``first`` to ``last``, both included and of one length, whose calls make no deals and no callbacks.

    A number in it that a client has counts as the client's.
    """

    __tablename__ = "special_ranges"
    __table_args__ = NEVER_REUSED

    id: int | None = row_id()
    first: str = Field(max_length=LONGEST_NUMBER, unique=True)
    last: str = Field(max_length=LONGEST_NUMBER)
    kind: str = Field(max_length=8)  # a NumberKind
    note: str = Field(default="", max_length=200)
    added_by_id: int | None = maybe_link("users.id", index=False)
    added_at: datetime = utc_column()

    def holds(self, number: str) -> bool:
        """Whether the number, in normal form, is in the range."""
        return len(number) == len(self.first) and self.first <= number <= self.last


class Merge(TableModel, table=True):
    """A merge of two clients, with all that an undo needs.

    ``moved``: the moved rows, ``{table.column: [[id, version or null], …]}``; ``adopted``: rows that had no client before, in
    the same form; ``numbers`` and ``emails``: what the other one had, ``[{key, written, extension, label, shared}]``;
    ``fields``: what the survivor took, ``{field: [before, after]}``; ``marks``: the highest id of each table at that time;
    ``parts``: data of other contexts.
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
    left: list[dict[str, Any]] = json_list()  # what the undo did not restore: stored ``contacts.hooks.Left``


class NotSame(TableModel, table=True):
    """Two similar clients that somebody marked as different people. ``low_id`` is the smaller id."""

    __tablename__ = "not_same"

    low_id: int = Field(foreign_key="contacts.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    high_id: int = Field(foreign_key="contacts.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()


class CompanyMerge(TableModel, table=True):
    """A merge of two companies, with all that an undo needs; the columns are those of ``Merge``."""

    __tablename__ = "company_merges"

    id: int | None = row_id()
    from_id: int = link("companies.id")
    into_id: int = link("companies.id")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()
    moved: dict[str, Any] = json_object()
    fields: dict[str, Any] = json_object()
    marks: dict[str, Any] = json_object()
    parts: dict[str, Any] = json_object()
    undone_at: datetime | None = maybe_utc_column()
    undone_by_id: int | None = maybe_link("users.id", index=False)
    left: list[dict[str, Any]] = json_list()


class NotSameCompany(TableModel, table=True):
    """Two similar companies that somebody marked as different. ``low_id`` is the smaller id."""

    __tablename__ = "not_same_companies"

    low_id: int = Field(foreign_key="companies.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    high_id: int = Field(foreign_key="companies.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    by_id: int | None = maybe_link("users.id", index=False)
    at: datetime = utc_column()


keep_folded(Company, "name")
keep_folded(Contact, "name")
keep_words(Contact, "note")
keep_spellings(Contact, "name")
keep_spellings(Company, "name")
keep_key(Contact, "name", "name_order", order_key)
keep_key(Company, "name", "name_order", order_key)
keep_key(Contact, "name", "name_key", name_key)
keep_key(Company, "name", "name_key", company_key)
keep_key(Email, "address", "address_key", address_key)
keep_key(Email, "address", "domain_key", domain_key)
