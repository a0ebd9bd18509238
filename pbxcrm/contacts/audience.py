"""Who hears that a client or a company changed: everybody who sees it."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import Audience, People, gathered, heard_by
from pbxcrm.contacts.access import ways_to_see_contacts
from pbxcrm.contacts.models import Company, Contact


async def audience_of_contact(session: AsyncSession, contact: Contact, people: People) -> Audience:
    """Who is notified that a client changed; needs one query for the owners of its deals, tasks and calls."""
    return heard_by(people, contact.responsible_id) | await _through_ways(session, [contact.id or 0], people)


async def audience_of_company(session: AsyncSession, company: Company, people: People) -> Audience:
    """Who is notified that a company changed: those who see it or one of its clients."""
    found = await session.exec(select(Contact.id, Contact.responsible_id).where(Contact.company_id == company.id))
    heard = heard_by(people, company.responsible_id)
    contacts = found.all()
    for _, responsible_id in contacts:
        heard |= heard_by(people, responsible_id)
    return heard | await _through_ways(session, [contact_id or 0 for contact_id, _ in contacts], people)


async def _through_ways(session: AsyncSession, contact_ids: list[int], people: People) -> Audience:
    heard = Audience(frozenset())
    if contact_ids:
        owners = gathered(*(way.owners(contact_ids) for way in ways_to_see_contacts.all))
        for (owner_id,) in (await session.exec(owners)).all():  # type: ignore[call-overload]
            heard |= heard_by(people, owner_id)
    return heard
