"""Finds clients by a part of their name or number."""

from typing import Any

from sqlalchemy import ColumnElement, Select, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import there_is
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.frequent_texts import is_known_frequent, note_frequent
from pbxcrm.shared.text_match import digits_of, part_of, up_to
from pbxcrm.shared.trigrams import holds_digits, holds_words

FEW = 5_000  # clients; more are not collected
FEW_NUMBERS = 20_000  # the same for digits: to test a client means to read their numbers, which are in another table


def named(text: str) -> Select[Any]:
    """Ids of the clients whose name contains ``text``."""
    return select(col(Contact.id)).where(holds_words(Contact.name_folded, text)).correlate(None)


def numbered(digits: str) -> Select[Any]:
    """Ids of the clients with a number that contains these digits."""
    return select(col(Phone.contact_id)).where(holds_digits(Phone.number, digits)).correlate(None)


async def matching_ids(session: AsyncSession, text: str) -> list[int] | None:
    """The ids of the clients that match by name or number, newest first; None where they are too many."""
    digits = digits_of(text)
    most = FEW_NUMBERS if digits else FEW
    if is_known_frequent(session, "contacts", text, most):
        return None
    found = await up_to(session, most, {"name": named(text), **({"number": numbered(digits)} if digits else {})})
    if any(ids is None for ids in found.values()):
        note_frequent(session, "contacts", text, most)
        return None
    return sorted({row_id for ids in found.values() for row_id in ids or ()}, reverse=True)


def matches(text: str) -> ColumnElement[bool]:
    """The condition that a client matches, tested client by client: for a text that fits so many that they are soon met."""
    fits = [part_of(col(Contact.name_folded), text)]
    if digits := digits_of(text):
        has_it = col(Phone.number).contains(digits, autoescape=True)
        fits.append(there_is(Contact, col(Phone.contact_id) == col(Contact.id), has_it))
    return or_(*fits)


async def matching(session: AsyncSession, text: str) -> ColumnElement[bool]:
    """A condition for lists of clients: a list of ids if few match, else a test of each client."""
    ids = await matching_ids(session, text)
    return matches(text) if ids is None else one_of(session, col(Contact.id), ids)
