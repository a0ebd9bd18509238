"""Finds what something may point to, a client, a company or a deal, while somebody types a part of its name."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.contacts.queries import list_companies
from pbxcrm.deals.filters import matches_text
from pbxcrm.deals.queries import list_deals
from pbxcrm.fields.models import LinkTarget
from pbxcrm.global_search import company_matches, find_clients

SUGGESTED = 8


async def find_targets(session: AsyncSession, who: Viewer, target: str, text: str) -> list[tuple[int, str]]:
    """Ids and names of a few rows of this ``LinkTarget`` that the viewer sees, by a part of the name of at least two letters."""
    if len(text) < 2:
        return []
    if target == LinkTarget.CONTACT and can(who, Permission.CONTACTS_READ):
        clients = await find_clients(session, who, text, limit=SUGGESTED)
        return [(row.contact.id or 0, row.contact.name) for row in clients]
    if target == LinkTarget.COMPANY and can(who, Permission.CONTACTS_READ):
        companies = (await list_companies(session, who, *company_matches(text), limit=SUGGESTED)).rows
        return [(each.id or 0, each.name) for each in companies]
    if target == LinkTarget.DEAL:
        deals = await list_deals(session, who, matches_text(text), limit=SUGGESTED)
        return [(each.deal.id or 0, each.deal.title) for each in deals]
    return []
