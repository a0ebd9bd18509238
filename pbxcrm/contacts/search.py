"""Finds clients by a part of their name or number."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.shared.text_match import digits_of, few, part_of


def named(text: str) -> Select[Any]:
    """Ids of the clients whose name contains ``text``."""
    return select(col(Contact.id)).where(part_of(col(Contact.name_folded), text)).correlate(None)


def numbered(digits: str) -> Select[Any]:
    """Ids of the clients with a number that contains these digits."""
    has_them = col(Phone.number).contains(digits, autoescape=True)
    return select(col(Phone.contact_id)).where(has_them).correlate(None)


async def matching(session: AsyncSession, text: str) -> ColumnElement[bool]:
    """A condition for lists of clients: a list of ids if few match, else a test of each client."""
    digits, contact_id = digits_of(text), col(Contact.id)
    queries = {"name": named(text), **({"number": numbered(digits)} if digits else {})}
    found = await few(session, **queries)
    ids = [found_id for some in found.values() if some is not None for found_id in some]
    fits: list[ColumnElement[bool]] = [contact_id.in_(sorted(set(ids)))]
    if found["name"] is None:
        fits.append(part_of(col(Contact.name_folded), text))
    if digits and found["number"] is None:
        has_it = col(Phone.number).contains(digits, autoescape=True)
        fits.append(exists().where(col(Phone.contact_id) == contact_id, has_it).correlate(Contact))
    return or_(*fits)
