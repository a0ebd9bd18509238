"""Notifies those who see a client or a company that it changed."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.audience import audience_of_company, audience_of_contact
from pbxcrm.contacts.hooks import Relinked
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.events import emit


async def say_contact_changed(session: AsyncSession, contact: Contact, at: datetime) -> None:
    """Notify everybody who sees the client."""
    heard = await audience_of_contact(session, contact, await load_directory(session))
    emit(session, "contact", contact.id, at, users=heard.users, roles=heard.roles)


async def say_company_changed(session: AsyncSession, company: Company, at: datetime) -> None:
    """Notify everybody who sees the company."""
    heard = await audience_of_company(session, company, await load_directory(session))
    emit(session, "company", company.id, at, users=heard.users, roles=heard.roles)


async def say_contacts_relinked(session: AsyncSession, relinked: Relinked) -> None:
    """Handler of ``rows_relinked``: clients have another company now, so their pages must show its name."""
    if ids := sorted(relinked.rows.get("contacts.company_id", ())):
        found = await session.exec(select(Contact).where(one_of(session, col(Contact.id), ids)))
        for contact in found.all():
            await say_contact_changed(session, contact, relinked.at)
