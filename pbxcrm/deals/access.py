"""Whose deals one sees and changes: those of the people one answers for."""

from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlmodel import col, select

from pbxcrm.access.owners import Audience, People, answers_for, editing, heard_by, owned, there_is
from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.access.ways import Way
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal


def visible_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals the viewer may open: those of the people they answer for."""
    return owned(viewer, col(Deal.responsible_id))


def editable_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals the viewer may change: the visible ones, for everybody but quality control."""
    return editing(viewer, visible_deals(viewer))


def sees_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same as ``visible_deals``, for a loaded deal. That a colleague's deal exists may be known."""
    return answers_for(viewer, deal.responsible_id, people)


def edits_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same as ``editable_deals``."""
    return can(viewer, Permission.DEALS_EDIT) and sees_deal(viewer, deal, people)


def audience_of_deal(deal: Deal, people: People) -> Audience:
    """Who hears that a deal changed: those who see it."""
    return heard_by(people, deal.responsible_id)


def _few(viewer: Viewer) -> tuple[Select[Any], ...]:
    return (select(Deal.id).where(visible_deals(viewer)),)


def _owners(deals: ColumnElement[bool]) -> Select[Any]:
    return select(Deal.responsible_id).where(deals)


#: A client is seen, and changed, by whoever has a deal with them.
CLIENT_OF_DEAL = Way(
    one=lambda viewer: there_is(Contact, col(Deal.contact_id) == col(Contact.id), visible_deals(viewer)),
    ids=lambda viewer: select(Deal.contact_id).where(visible_deals(viewer)),
    few=_few,
    owners=lambda contacts: _owners(col(Deal.contact_id).in_(contacts)),
    edits=True,
)
