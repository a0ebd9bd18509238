"""Who sees and changes a deal: the responsible person and everybody who answers for them."""

from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlmodel import col, select

from pbxcrm.access.owners import Audience, People, answers_for, editing, heard_by, owned, there_is
from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.access.ways import Way
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal


def visible_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals that the viewer may open: those of the people for whom the viewer answers."""
    return owned(viewer, col(Deal.responsible_id))


def editable_deals(viewer: Viewer) -> ColumnElement[bool]:
    """Deals that the viewer may change: the visible ones, except for quality control, which may change none."""
    return editing(viewer, visible_deals(viewer))


def sees_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same rule as ``visible_deals``, for a loaded deal."""
    return answers_for(viewer, deal.responsible_id, people)


def edits_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same rule as ``editable_deals``, for a loaded deal."""
    return can(viewer, Permission.DEALS_EDIT) and sees_deal(viewer, deal, people)


def audience_of_deal(deal: Deal, people: People) -> Audience:
    """Who is notified of a change of the deal: everybody who sees it."""
    return heard_by(people, deal.responsible_id)


def _few(viewer: Viewer) -> tuple[Select[Any], ...]:
    return (select(Deal.id).where(visible_deals(viewer)),)


def _owners(deals: ColumnElement[bool]) -> Select[Any]:
    return select(Deal.responsible_id).where(deals)


#: Whoever may see a deal may also see and change its client.
CLIENT_OF_DEAL = Way(
    one=lambda viewer: there_is(Contact, col(Deal.contact_id) == col(Contact.id), visible_deals(viewer)),
    ids=lambda viewer: select(Deal.contact_id).where(visible_deals(viewer)),
    few=_few,
    owners=lambda contacts: _owners(col(Deal.contact_id).in_(contacts)),
    edits=True,
)
