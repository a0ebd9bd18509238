"""Who hears that a note was written or changed: everybody who sees it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import Audience, People
from pbxcrm.calls.audience import audience_of_stored_call
from pbxcrm.calls.models import Call
from pbxcrm.contacts.audience import audience_of_contact
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal, Note


async def audience_of_note(session: AsyncSession, note: Note, people: People) -> Audience:
    """Who is notified of the note: its author and those who see its deal; without a deal its client, else its call."""
    author = Audience(frozenset({note.author_id} if note.author_id is not None else ()), ())
    if note.deal_id is not None:
        return author | audience_of_deal(await session.get_one(Deal, note.deal_id), people)
    if note.contact_id is not None:
        contact = await session.get_one(Contact, note.contact_id)
        return author | await audience_of_contact(session, contact, people)
    if note.call_id is not None:
        return author | await audience_of_stored_call(session, await session.get_one(Call, note.call_id), people)
    return author
