"""Which notes a viewer may see."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.access.owners import editing, there_is
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note
from pbxcrm.shared.errors import NotFound


@kept
def visible_notes(viewer: Viewer) -> ColumnElement[bool]:
    """Notes that the viewer wrote, and notes on a visible deal. A note without a deal follows its client, else its call."""
    deal, contact, call = col(Note.deal_id), col(Note.contact_id), col(Note.call_id)
    of_deal = there_is(Note, col(Deal.id) == deal, visible_deals(viewer))
    of_contact = there_is(Note, col(Contact.id) == contact, visible_contacts(viewer))
    of_call = there_is(Note, col(Call.id) == call, visible_calls(viewer))
    return or_(
        col(Note.author_id) == viewer.user_id,
        of_deal,
        and_(deal.is_(None), of_contact),
        and_(deal.is_(None), contact.is_(None), of_call),
    )


@kept
def editable_notes(viewer: Viewer) -> ColumnElement[bool]:
    """Notes that the viewer may change: their own, on the card of a call."""
    return editing(viewer, col(Note.author_id) == viewer.user_id)


async def access_note(session: AsyncSession, viewer: Viewer, note_id: int) -> Note:
    """The note, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Note).where(Note.id == note_id, visible_notes(viewer)))).first()
    if found is None:
        raise NotFound("notes.not_found", "There is no such note, or it is a colleague's.")
    return found
