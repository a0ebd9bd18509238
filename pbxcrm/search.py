"""Search over clients, companies and deals by a part of a name or number."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, visible_companies, visible_deals
from pbxcrm.contacts.models import Company
from pbxcrm.contacts.queries import ContactRow, list_contacts
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import DealRow, as_rows
from pbxcrm.finding import digits_of, part_of

SHORTEST = 3  # letters or digits


@dataclass(frozen=True, slots=True)
class Found:
    contacts: list[ContactRow]
    companies: list[Company]
    deals: list[DealRow]

    @property
    def nothing(self) -> bool:
        return not (self.contacts or self.companies or self.deals)


def company_matches(text: str) -> list[ColumnElement[bool]]:
    """A condition for lists of companies: a part of the name; none for an empty text."""
    return [part_of(col(Company.name_folded), text)] if text.strip() else []


async def search(session: AsyncSession, viewer: Viewer, text: str, *, limit: int = 6) -> Found:
    """The latest of each kind that the viewer may see; nothing below three letters."""
    text = text.strip()
    if len(text) < SHORTEST:
        return Found([], [], [])
    contacts = await list_contacts(session, viewer, text=text, limit=limit)
    companies = await session.exec(
        select(Company)
        .where(visible_companies(viewer), *company_matches(text))
        .order_by(col(Company.id).desc())
        .limit(limit)
    )
    firms = list(companies.all())
    deals = await session.exec(
        select(Deal)
        .where(visible_deals(viewer), _deal_matches(text, contacts, firms))
        .order_by(col(Deal.closed_at).is_not(None), col(Deal.id).desc())
        .limit(limit)
    )
    return Found(contacts, firms, await as_rows(session, list(deals.all())))


def _deal_matches(text: str, contacts: list[ContactRow], companies: list[Company]) -> ColumnElement[bool]:
    """By title and number, and the deals of the clients that were found: names are not looked through a second time."""
    digits = digits_of(text)
    named = [
        part_of(col(Deal.title_folded), text),
        col(Deal.contact_id).in_([row.contact.id for row in contacts]),
        col(Deal.company_id).in_([company.id for company in companies]),
    ]
    if digits:
        named.append(col(Deal.client_number).contains(digits, autoescape=True))
    return or_(*named)
