"""Which notes a viewer may see."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note
from pbxcrm.shared.errors import NotFound


def visible_notes(viewer: Viewer) -> ColumnElement[bool]:
    """Notes that the viewer wrote, and notes on a visible deal. A note without a deal follows its client, else its call."""
    deal, contact, call = col(Note.deal_id), col(Note.contact_id), col(Note.call_id)
    return or_(
        col(Note.author_id) == viewer.user_id,
        deal.in_(select(Deal.id).where(visible_deals(viewer))),
        and_(deal.is_(None), contact.in_(select(Contact.id).where(visible_contacts(viewer)))),
        and_(deal.is_(None), contact.is_(None), call.in_(select(Call.id).where(visible_calls(viewer)))),
    )


async def access_note(session: AsyncSession, viewer: Viewer, note_id: int) -> Note:
    """The note, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Note).where(Note.id == note_id, visible_notes(viewer)))).first()
    if found is None:
        raise NotFound("notes.not_found", "There is no such note, or it is a colleague's.")
    return found
