"""Which clients a viewer sees and may change.

One sees those one is responsible for and those one has a deal, a task or a call with; one changes those one is responsible for,
and those nobody is responsible for whose open deal one has. To have answered the telephone for a colleague is not enough, nor to
have made a deal with a colleague's client.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import SEES_EVERYTHING, editing, gathered, owned, there_is
from pbxcrm.access.permissions import Viewer
from pbxcrm.access.seen_through import WaysToSee, are_few
from pbxcrm.contacts.models import Company, Contact

ways_to_see_contacts = WaysToSee("contacts.access.ways_to_see_contacts")


def is_live() -> ColumnElement[bool]:
    """SQL condition: the client was neither merged into another one nor erased."""
    return and_(col(Contact.merged_into_id).is_(None), col(Contact.erased_at).is_(None))


@kept
def visible_contacts(viewer: Viewer, *, little: bool = False) -> ColumnElement[bool]:
    """SQL condition for clients the viewer sees. ``little`` (from ``sees_little``): collect their ids first, which is faster."""
    if viewer.role in SEES_EVERYTHING:
        return is_live()
    own = owned(viewer, col(Contact.responsible_id))
    if little:
        ways = (way.ids(viewer) for way in ways_to_see_contacts.all)
        return and_(is_live(), col(Contact.id).in_(gathered(select(Contact.id).where(own), *ways)))
    return and_(is_live(), or_(own, *(way.one(viewer) for way in ways_to_see_contacts.all)))


@kept
def editable_contacts(viewer: Viewer) -> ColumnElement[bool]:
    """Clients the viewer may change: their own, and those they reach by a way that lets one edit."""
    ways = (way.edits(viewer) for way in ways_to_see_contacts.all if way.edits is not None)
    return and_(is_live(), editing(viewer, or_(owned(viewer, col(Contact.responsible_id)), *ways)))


async def sees_little(session: AsyncSession, viewer: Viewer) -> bool:
    """Whether the viewer sees so few clients that it is faster to collect their ids first."""
    if viewer.role in SEES_EVERYTHING:
        return False

    def queries() -> Iterator[Select[Any]]:
        yield select(Contact.id).where(owned(viewer, col(Contact.responsible_id)))
        for way in ways_to_see_contacts.all:
            yield from way.few(viewer)

    return await are_few(session, "contacts", viewer, queries)


@kept
def visible_companies(viewer: Viewer, *, little: bool = False) -> ColumnElement[bool]:
    """SQL condition for companies the viewer is responsible for, and those of clients they see; none that was merged into another.

    ``little`` (from ``sees_little``): collect those clients first, which is faster.
    """
    live = col(Company.merged_into_id).is_(None)
    if viewer.role in SEES_EVERYTHING:
        return live
    own = owned(viewer, col(Company.responsible_id))
    if little:
        of_clients = select(Contact.company_id).where(visible_contacts(viewer, little=True))
        ids = of_clients.where(col(Contact.company_id).is_not(None)).correlate(None)
        return and_(live, or_(own, col(Company.id).in_(ids)))
    return and_(live, or_(own, there_is(Company, col(Contact.company_id) == col(Company.id), visible_contacts(viewer))))


@kept
def editable_companies(viewer: Viewer) -> ColumnElement[bool]:
    """Companies the viewer may change: their own, and those nobody is responsible for of a client they may change."""
    by_contact = there_is(Company, col(Contact.company_id) == col(Company.id), editable_contacts(viewer))
    nobodys = and_(col(Company.responsible_id).is_(None), by_contact)
    live = col(Company.merged_into_id).is_(None)
    return and_(live, editing(viewer, or_(owned(viewer, col(Company.responsible_id)), nobodys)))
