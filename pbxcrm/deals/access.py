"""Whose deals one sees and changes: those of the people one answers for. Notes go by what they are about."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlmodel import col, select

from pbxcrm.access.owners import Audience, People, answers_for, editing, heard_by, owned, there_is
from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.access.ways import Way
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal, Note


def visible_deals(viewer: Viewer) -> ColumnElement[bool]:
    return owned(viewer, col(Deal.responsible_id))


def editable_deals(viewer: Viewer) -> ColumnElement[bool]:
    return editing(viewer, visible_deals(viewer))


def sees_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same as ``visible_deals``, of a deal that is in hand for another reason: of a colleague's one may know that it is there."""
    return answers_for(viewer, deal.responsible_id, people)


def edits_deal(viewer: Viewer, deal: Deal, people: People) -> bool:
    """The same as ``editable_deals``."""
    return can(viewer, Permission.DEALS_EDIT) and sees_deal(viewer, deal, people)


def audience_of_deal(deal: Deal, people: People) -> Audience:
    return heard_by(people, deal.responsible_id)


def visible_notes(viewer: Viewer) -> ColumnElement[bool]:
    """One's own, and those on a deal one may see; a note on no deal goes by its client, or by its call."""
    deal, contact, call = col(Note.deal_id), col(Note.contact_id), col(Note.call_id)
    return or_(
        col(Note.author_id) == viewer.user_id,
        deal.in_(select(Deal.id).where(visible_deals(viewer))),
        and_(deal.is_(None), contact.in_(select(Contact.id).where(visible_contacts(viewer)))),
        and_(deal.is_(None), contact.is_(None), call.in_(select(Call.id).where(visible_calls(viewer)))),
    )


def _few(viewer: Viewer) -> tuple[Select[Any], ...]:
    return (select(Deal.id).where(visible_deals(viewer)),)


def _owners(deals: ColumnElement[bool]) -> Select[Any]:
    return select(Deal.responsible_id).where(deals)


#: A client is seen, and changed, by whoever has a deal with them; a call by whoever has its deal.
CLIENT_OF_DEAL = Way(
    one=lambda viewer: there_is(Contact, col(Deal.contact_id) == col(Contact.id), visible_deals(viewer)),
    ids=lambda viewer: select(Deal.contact_id).where(visible_deals(viewer)),
    few=_few,
    owners=lambda contacts: _owners(col(Deal.contact_id).in_(contacts)),
    edits=True,
)
CALL_OF_DEAL = Way(
    one=lambda viewer: there_is(Call, col(Deal.id) == col(Call.deal_id), visible_deals(viewer)),
    ids=lambda viewer: select(Call.id).where(col(Call.deal_id).in_(select(Deal.id).where(visible_deals(viewer)))),
    few=_few,
    owners=lambda calls: _owners(col(Deal.id).in_(select(Call.deal_id).where(col(Call.id).in_(calls)))),
)
