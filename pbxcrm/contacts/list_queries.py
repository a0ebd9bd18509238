"""The lists of clients and companies in another order than the newest first: by name in the order of the alphabet
(``shared.alphabet``), by time, birthday or a custom field. Each order has an index.
"""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.owners import SEES_EVERYTHING
from pbxcrm.contacts.access import sees_little, visible_companies, visible_contacts
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.contacts.search import matching
from pbxcrm.contacts.terms import Table
from pbxcrm.fields.conditions import Term
from pbxcrm.fields.terms import sorted_by
from pbxcrm.shared.listed import MOST_SORTED, Listed, RowPlace, among_newest, in_order

Conditions = Sequence[ColumnElement[bool]]
Client = TypeVar("Client", bound=Contact | Company)


async def sorted_contacts(
    session: AsyncSession,
    viewer: Viewer,
    filters: Conditions,
    term: Term,
    *,
    text: str = "",
    descending: bool,
    after: RowPlace | None,
    limit: int,
) -> Listed[tuple[ContactRow, RowPlace], RowPlace]:
    """The clients the viewer sees in the order of ``term``, each with its place; ``filters`` and ``text`` as in ``list_contacts``."""
    asked = await with_text(session, filters, text)
    found = await _sorted(session, viewer, Contact, asked, term, descending=descending, after=after, limit=limit)
    rows = await with_numbers(session, [contact for contact, _ in found.rows])
    return Listed([(row, place) for row, (_, place) in zip(rows, found.rows, strict=True)], found.resume)


async def sorted_companies(
    session: AsyncSession,
    viewer: Viewer,
    filters: Conditions,
    term: Term,
    *,
    descending: bool,
    after: RowPlace | None,
    limit: int,
) -> Listed[tuple[Company, RowPlace], RowPlace]:
    """The same of companies."""
    return await _sorted(session, viewer, Company, filters, term, descending=descending, after=after, limit=limit)


async def most_sorted(session: AsyncSession, viewer: Viewer, table: Table, filters: Conditions) -> int:
    """How many of the newest rows are sorted, if filters find more; 0 if all are."""
    if not filters or await sees_little(session, viewer):
        return 0
    newest = select(table.id).where(*filters).order_by(col(table.id).desc()).offset(MOST_SORTED).limit(1)
    return 0 if (await session.exec(newest)).first() is None else MOST_SORTED


async def with_text(session: AsyncSession, filters: Conditions, text: str) -> Conditions:
    """The filters of clients together with a part of a name or number."""
    text = text.strip()
    return [*filters, await matching(session, text)] if text else filters


async def _sorted(
    session: AsyncSession,
    viewer: Viewer,
    table: type[Client],
    filters: Conditions,
    term: Term,
    *,
    descending: bool,
    after: RowPlace | None,
    limit: int,
) -> Listed[tuple[Client, RowPlace], RowPlace]:
    """Without filters the index of the order is read from its beginning. With them it could be read to its end for a few rows, so that
    only the newest of those they find are sorted; the rows of a viewer who sees little are few anyway.
    """
    little = await sees_little(session, viewer)
    visible = visible_contacts if table is Contact else visible_companies
    return await in_order(
        session,
        table,
        [visible(viewer, little=little)],
        filters if little or not filters else [among_newest(table, filters, MOST_SORTED)],
        sorted_by(term, descending=descending),
        after=after,
        limit=limit,
        tested=not little and viewer.role not in SEES_EVERYTHING,
    )
