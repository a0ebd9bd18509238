"""The lists of clients and companies in another order than the newest first: by name, time, birthday or a custom field."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.owners import SEES_EVERYTHING
from pbxcrm.contacts.access import sees_little, visible_companies, visible_contacts
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.contacts.search import matching
from pbxcrm.contacts.terms import MADE, Table
from pbxcrm.fields.conditions import Term
from pbxcrm.shared.listed import Listed, RowOrder, RowPlace, in_order

MOST_SORTED = 5_000  # of those that filters find: the newest are sorted
Conditions = Sequence[ColumnElement[bool]]


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
    little = await sees_little(session, viewer)
    asked = await with_text(session, filters, text)
    found = await in_order(
        session,
        Contact,
        [visible_contacts(viewer, little=little)],
        asked if little else _newest(Contact, asked),
        _order(term, descending=descending),
        after=after,
        limit=limit,
        tested=not little and viewer.role not in SEES_EVERYTHING,
    )
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
    little = await sees_little(session, viewer)
    return await in_order(
        session,
        Company,
        [visible_companies(viewer, little=little)],
        filters if little else _newest(Company, filters),
        _order(term, descending=descending),
        after=after,
        limit=limit,
        tested=not little and viewer.role not in SEES_EVERYTHING,
    )


async def is_capped(session: AsyncSession, viewer: Viewer, table: Table, filters: Conditions) -> bool:
    """Whether filters find more than are sorted."""
    if not filters or await sees_little(session, viewer):
        return False
    newest = select(table.id).where(*filters).order_by(col(table.id).desc()).offset(MOST_SORTED).limit(1)
    return (await session.exec(newest)).first() is not None


async def with_text(session: AsyncSession, filters: Conditions, text: str) -> Conditions:
    """The filters of clients together with a part of a name or number."""
    text = text.strip()
    return [*filters, await matching(session, text)] if text else filters


def _newest(table: Table, filters: Conditions) -> Conditions:
    """Without filters the index of the order is read from its beginning. With them it could be read to its end for a few rows."""
    if not filters:
        return filters
    last = select(col(table.id)).where(*filters).order_by(col(table.id).desc()).limit(MOST_SORTED).subquery()
    return [col(table.id).in_(select(last.c.id))]


def _order(term: Term, *, descending: bool) -> RowOrder:
    return RowOrder(term.sql, None if term.name == MADE else term.is_blank, descending)
