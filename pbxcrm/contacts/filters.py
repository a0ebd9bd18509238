"""Filters of the lists of clients and companies, besides a part of a name or number."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from pbxcrm.contacts.birthday_rules import days_near
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.people.filters import of_login
from pbxcrm.shared.conditions import within
from pbxcrm.shared.trigrams import holds_words


@dataclass(frozen=True, slots=True)
class ContactFilter:
    """Filter of clients. ``responsible`` is a login; ``since``/``until`` (exclusive) limit the time of creation."""

    responsible: str = ""
    client_number: str = ""
    since: datetime | None = None
    until: datetime | None = None
    birthday: tuple[date, int] | None = None  # the day of today, and within how many days the birthday is

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on clients, for WHERE."""
        found = _common(Contact, self.responsible, self.since, self.until)
        if self.client_number:
            found.append(col(Contact.id).in_(select(Phone.contact_id).where(Phone.number == self.client_number)))
        if self.birthday is not None:
            found.append(col(Contact.birth_day).in_(days_near(*self.birthday)))
        return found


@dataclass(frozen=True, slots=True)
class CompanyFilter:
    """Filter of companies. ``responsible`` is a login; ``text`` a part of the name."""

    responsible: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on companies, for WHERE."""
        found = _common(Company, self.responsible, self.since, self.until)
        if self.text.strip():
            found.append(holds_words(Company.name_folded, self.text))
        return found


def _common(
    table: type[Contact] | type[Company], responsible: str, since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    return of_login(table.responsible_id, responsible) + within(table.created_at, since, until)
