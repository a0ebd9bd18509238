"""Queries on clients, companies and special numbers."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, true
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.owners import SEES_EVERYTHING
from pbxcrm.contacts.access import (
    editable_companies,
    editable_contacts,
    is_live,
    sees_little,
    visible_companies,
    visible_contacts,
)
from pbxcrm.contacts.models import Company, Contact, Email, NumberKind, Phone, SpecialNumber
from pbxcrm.contacts.number_owners import counts, phone_since
from pbxcrm.contacts.range_queries import kind_by_range
from pbxcrm.contacts.search import matches, matching, matching_ids
from pbxcrm.shared.core_sql import list_param, load_by_id
from pbxcrm.shared.errors import not_there
from pbxcrm.shared.listed import Listed, newest_visible


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact with the rows that a list shows beside it."""

    contact: Contact
    company: Company | None
    phones: list[Phone]
    emails: list[Email]


async def contacts_of_number(session: AsyncSession, number: str | None, *, all_of_them: bool = False) -> list[Contact]:
    """The contacts with this number by which its calls may go, the oldest first; several are normal (a family, an office).

    ``all_of_them``: also those beside another person's earlier work with the number (``number_owners``).
    """
    if not number:
        return []
    found = await session.exec(
        select(Contact)
        .join(Phone, col(Phone.contact_id) == col(Contact.id))
        .where(Phone.number == number, is_live(), *(() if all_of_them else (counts(),)))
        .order_by(col(Contact.id))
        .distinct()
    )
    return list(found.all())


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of some numbers: the contacts of each, first owner first, and which are our own or spam.

    Left out are contacts beside another person's earlier work with the number (``number_owners``), unless all were asked for.
    """

    contacts: dict[str, list[Contact]] = field(default_factory=dict)
    special: dict[str, NumberKind] = field(default_factory=dict)


_NUMBERS = list_param("numbers")


@cache
def _having(*, counting: bool) -> Any:  # Select of a number and a Contact; built once
    return (
        select(Phone.number, Contact)
        .join(Contact, col(Contact.id) == col(Phone.contact_id))
        .where(col(Phone.number).in_(_NUMBERS), *((counts(),) if counting else ()))
        .order_by(phone_since(), col(Phone.id))  # the first owner comes first
    )


_MARKED = select(SpecialNumber).where(col(SpecialNumber.number).in_(_NUMBERS))


async def load_numbers(session: AsyncSession, numbers: Collection[str], *, all_of_them: bool = False) -> Numbers:
    """The same as ``contacts_of_number`` and ``special_number`` for many numbers, in two queries; and which are in a range."""
    found = Numbers()
    if not numbers:
        return found
    asked = {"numbers": list(numbers)}
    for number, contact in (await session.exec(_having(counting=not all_of_them), params=asked)).all():
        if contact not in found.contacts.setdefault(number, []):
            found.contacts[number].append(contact)
    marked = await session.exec(_MARKED, params=asked)
    found.special.update({row.number: NumberKind(row.kind) for row in marked.all()})
    for number in numbers:
        if number not in found.special and not found.contacts.get(number):
            kind = await kind_by_range(session, number)
            if kind is not None:
                found.special[number] = kind
    return found


async def special_number(session: AsyncSession, number: str | None) -> SpecialNumber | None:
    """The entry in the list of own and spam numbers, or None."""
    return await session.get(SpecialNumber, number) if number else None


async def list_special_numbers(session: AsyncSession) -> list[SpecialNumber]:
    """Our own numbers and spam, newest first."""
    return list((await session.exec(select(SpecialNumber).order_by(col(SpecialNumber.added_at).desc()))).all())


async def access_contact(session: AsyncSession, viewer: Viewer, contact_id: int, *, field: str = "") -> Contact:
    """The client, if the viewer sees them; for a merged client, the survivor. Raises NotFound."""
    found = await get_contact(session, viewer, contact_id)
    if found is None and (survivor := await survivor_of(session, contact_id)) is not None:
        found = await get_contact(session, viewer, survivor)
    if found is None:
        raise not_there("contacts.not_found", "There is no such client, or it is a colleague's.", field)
    return found


async def get_contact(session: AsyncSession, viewer: Viewer, contact_id: int) -> Contact | None:
    """The client if the viewer sees them, else None."""
    return (await session.exec(select(Contact).where(Contact.id == contact_id, visible_contacts(viewer)))).first()


Merged = type[Contact] | type[Company]


async def survivor_of(session: AsyncSession, row_id: int, table: Merged = Contact) -> int | None:
    """The id of the final survivor of a merged client or company; None if it was not merged or does not exist."""
    survivor: int | None = None
    while True:
        asked = select(table.merged_into_id).where(table.id == (survivor or row_id))
        into = (await session.exec(asked)).first()
        if into is None:
            return survivor
        survivor = into


async def names_of_contacts(session: AsyncSession, viewer: Viewer, ids: Collection[int]) -> dict[int, str]:
    """The names of those clients that the viewer sees, by id, of merged ones the survivor's; in one query unless some are missing."""
    return await _names(session, Contact, visible_contacts(viewer), ids)


async def names_of_companies(session: AsyncSession, viewer: Viewer, ids: Collection[int]) -> dict[int, str]:
    """The names of those companies that the viewer sees, by id, as of clients."""
    return await _names(session, Company, visible_companies(viewer), ids)


async def _names(
    session: AsyncSession, table: Merged, visible: ColumnElement[bool], ids: Collection[int]
) -> dict[int, str]:
    named = await session.exec(select(table.id, table.name).where(col(table.id).in_(ids), visible))
    found = {row_id or 0: name for row_id, name in named.all()}
    if missing := set(ids) - set(found):
        asked = select(table.id, table.merged_into_id).where(
            col(table.id).in_(missing), col(table.merged_into_id).is_not(None)
        )
        into = {row_id or 0: survivor or 0 for row_id, survivor in (await session.exec(asked)).all()}
        names = await _names(session, table, visible, set(into.values())) if into else {}
        found |= {row_id: names[survivor] for row_id, survivor in into.items() if survivor in names}
    return found


async def edits_contact(session: AsyncSession, viewer: Viewer, contact_id: int) -> bool:
    """Whether the viewer may change this client; seeing them is not enough."""
    editable = select(Contact.id).where(Contact.id == contact_id, editable_contacts(viewer))
    return (await session.exec(editable)).first() is not None


async def edits_company(session: AsyncSession, viewer: Viewer, company_id: int) -> bool:
    """Whether the viewer may change this company."""
    editable = select(Company.id).where(Company.id == company_id, editable_companies(viewer))
    return (await session.exec(editable)).first() is not None


async def special_numbers_of(session: AsyncSession, row: ContactRow) -> dict[str, SpecialNumber]:
    """The client's numbers that are on the list of own and spam numbers: number → entry."""
    numbers = [phone.number for phone in row.phones]
    found = await session.exec(select(SpecialNumber).where(col(SpecialNumber.number).in_(numbers)))
    return {special.number: special for special in found.all()}


async def only_contact_of_number(session: AsyncSession, viewer: Viewer, number: str) -> int | None:
    """The id of the client with this number, if the viewer sees exactly one; else None."""
    of_number = select(Contact.id).join(Phone, col(Phone.contact_id) == col(Contact.id)).where(Phone.number == number)
    found = set((await session.exec(of_number.where(visible_contacts(viewer)).limit(2))).all())
    return found.pop() if len(found) == 1 else None


async def access_company(session: AsyncSession, viewer: Viewer, company_id: int, *, field: str = "") -> Company:
    """The company, if the viewer may see it; for a merged one, the survivor. Raises NotFound."""
    found = await _get_company(session, viewer, company_id)
    if found is None and (survivor := await survivor_of(session, company_id, Company)) is not None:
        found = await _get_company(session, viewer, survivor)
    if found is None:
        raise not_there("companies.not_found", "There is no such company, or it is a colleague's.", field)
    return found


async def _get_company(session: AsyncSession, viewer: Viewer, company_id: int) -> Company | None:
    return (await session.exec(select(Company).where(Company.id == company_id, visible_companies(viewer)))).first()


async def list_contacts(
    session: AsyncSession,
    viewer: Viewer,
    *filters: ColumnElement[bool],
    text: str = "",
    company_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Listed[ContactRow, int]:
    """The clients the viewer sees, newest first. ``before``: an id; ``text``: part of a name or of a number's digits."""
    text = text.strip()
    little = await sees_little(session, viewer)
    if company_id is not None:
        filters = (*filters, col(Contact.company_id) == company_id)
    if little or company_id is not None or viewer.role in SEES_EVERYTHING:
        fits = await matching(session, text) if text else true()
        query = select(Contact).where(visible_contacts(viewer, little=little), *filters, fits)
        if before is not None:
            query = query.where(col(Contact.id) < before)
        rows = (await session.exec(query.order_by(col(Contact.id).desc()).limit(limit))).all()
        return Listed(await with_numbers(session, list(rows)))
    ids = await matching_ids(session, text) if text else None
    fits = matches(text) if text and ids is None else true()
    found = await newest_visible(
        session, Contact, (visible_contacts(viewer),), (*filters, fits), ids, before=before, limit=limit
    )
    return Listed(await with_numbers(session, found.rows), found.resume)


async def list_companies(
    session: AsyncSession, viewer: Viewer, *filters: ColumnElement[bool], before: int | None = None, limit: int = 50
) -> Listed[Company, int]:
    """Companies that the viewer sees and that match all ``filters``, newest first; ``before`` is an id."""
    little = await sees_little(session, viewer)
    if little or viewer.role in SEES_EVERYTHING:
        query = select(Company).where(visible_companies(viewer, little=little), *filters)
        if before is not None:
            query = query.where(col(Company.id) < before)
        return Listed(list((await session.exec(query.order_by(col(Company.id).desc()).limit(limit))).all()))
    visible = (visible_companies(viewer),)
    return await newest_visible(session, Company, visible, filters, None, before=before, limit=limit)


async def with_numbers(session: AsyncSession, contacts: list[Contact]) -> list[ContactRow]:
    """Clients with their numbers and addresses, the main ones first, and companies; in the same order, by one query per table."""
    ids = [contact.id for contact in contacts]
    phones = (
        await session.exec(select(Phone).where(col(Phone.contact_id).in_(ids)).order_by(*_main_first(Phone)))
    ).all()
    emails = (
        await session.exec(select(Email).where(col(Email.contact_id).in_(ids)).order_by(*_main_first(Email)))
    ).all()
    companies = await load_by_id(session, Company, (contact.company_id for contact in contacts))
    rows = {contact.id: ContactRow(contact, companies.get(contact.company_id), [], []) for contact in contacts}
    for phone in phones:
        rows[phone.contact_id].phones.append(phone)
    for email in emails:
        rows[email.contact_id].emails.append(email)
    return [rows[contact.id] for contact in contacts]


def _main_first(table: type[Phone] | type[Email]) -> tuple[ColumnElement[Any], ...]:
    return col(table.is_main).desc(), col(table.id).asc()
