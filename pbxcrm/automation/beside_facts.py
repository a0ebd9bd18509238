"""What conditions of rules may ask beside the deal and its fields: the clock of the team, who the client is, their company.

It is read only for rules that ask it (``asked``), in a fixed number of queries.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.contacts.consent_queries import consent_now
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.shared.core_sql import load_by_id, one_of
from pbxcrm.shared.reasons import N_

YES, NO = "yes", "no"
YES_NO: Mapping[str, str] = {YES: N_("yes"), NO: N_("no")}
WEEKDAYS: Mapping[str, str] = {
    "monday": N_("Monday"),
    "tuesday": N_("Tuesday"),
    "wednesday": N_("Wednesday"),
    "thursday": N_("Thursday"),
    "friday": N_("Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
}
CONSENTS: Mapping[str, str] = {"given": N_("given"), "withdrawn": N_("withdrawn")}
_CONSENT: Mapping[bool | None, str] = {True: "given", False: "withdrawn"}
WON = frozenset({"client.bought", "client.won_deals"})
CONSENT = frozenset({"client.consent"})
OF_COMPANY = "company."


@dataclass(frozen=True, slots=True)
class Beside:
    """``won``: deals that the client has won us; ``consent``: a key of ``CONSENTS``, None where nobody asked; ``company_deals``: of the company."""

    won: int = 0
    consent: str | None = None
    company: Company | None = None
    company_deals: int = 0


@dataclass(frozen=True, slots=True)
class TeamClock:
    """A moment by the calendar of whoever is responsible, or of the office."""

    at: datetime
    hours: WorkingTime

    @property
    def is_working(self) -> str:
        """Whether it is working time."""
        return YES if self.hours.is_working(self.at) else NO

    @property
    def weekday(self) -> str:
        """A key of ``WEEKDAYS``."""
        return list(WEEKDAYS)[self.at.astimezone(self.hours.timezone).weekday()]

    @property
    def is_holiday(self) -> str:
        """Whether the calendar has this date as a day off."""
        day = self.at.astimezone(self.hours.timezone).date()
        return YES if self.hours.days.get(day) == () else NO


async def load_beside(
    session: AsyncSession, subjects: Sequence[tuple[Deal | None, Contact | None]], asked: Collection[str] | None
) -> list[Beside]:
    """What stands beside these deals and clients, in the same order. ``asked``: the names of terms; None: everything."""
    contacts = [contact.id or 0 for _, contact in subjects if contact is not None]
    won = await _won(session, contacts) if contacts and _wants(asked, WON) else {}
    consents = await consent_now(session, contacts) if contacts and _wants(asked, CONSENT) else {}
    of_companies = asked is None or any(name.startswith(OF_COMPANY) for name in asked)
    companies = await load_by_id(session, Company, map(_company_of, subjects)) if of_companies else {}
    deals = await _deals_of(session, [each for each in companies if each is not None]) if companies else {}
    found = []
    for subject in subjects:
        contact_id, company_id = (subject[1].id if subject[1] is not None else None) or 0, _company_of(subject) or 0
        found.append(
            Beside(
                won.get(contact_id, 0),
                _CONSENT.get(consents.get(contact_id)),
                companies.get(company_id),
                deals.get(company_id, 0),
            )
        )
    return found


def _wants(asked: Collection[str] | None, names: frozenset[str]) -> bool:
    return asked is None or not names.isdisjoint(asked)


def _company_of(subject: tuple[Deal | None, Contact | None]) -> int | None:
    """Of the deal, else of its client."""
    deal, contact = subject
    if deal is not None and deal.company_id is not None:
        return deal.company_id
    return contact.company_id if contact is not None else None


async def _won(session: AsyncSession, contacts: Sequence[int]) -> dict[int, int]:
    stages = [stage.id for stage in (await load_funnel(session)).stages.values() if stage.kind == StageKind.WON]
    query = (
        select(Deal.contact_id, func.count())
        .where(one_of(session, col(Deal.contact_id), contacts), col(Deal.stage_id).in_(stages))
        .where(col(Deal.merged_into_id).is_(None))
        .group_by(col(Deal.contact_id))
    )
    return {contact_id: count for contact_id, count in (await session.exec(query)).all() if contact_id is not None}


async def _deals_of(session: AsyncSession, companies: Sequence[int]) -> dict[int, int]:
    query = (
        select(Deal.company_id, func.count())
        .where(one_of(session, col(Deal.company_id), companies), col(Deal.merged_into_id).is_(None))
        .group_by(col(Deal.company_id))
    )
    return {company_id: count for company_id, count in (await session.exec(query)).all() if company_id is not None}
