"""Which deals a viewer may open from a call card, and who owns the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.calls.queries import access_call
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import sees_deal, visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.people.access import sees_user
from pbxcrm.people.directory import Directory
from pbxcrm.screenpop.card_contents import Card


@dataclass(frozen=True, slots=True)
class Owner:
    """The colleague who owns a deal. ``extension`` is empty if they have none."""

    user_id: int
    name: str
    extension: str
    takes_tasks: bool  # whether the viewer may assign tasks to them


@dataclass(frozen=True, slots=True)
class DealAccess:
    """Which deals on the cards the viewer may open, and who owns the others."""

    deals: frozenset[int | None] = frozenset()  # ids of the deals the viewer may open
    owners: dict[int | None, Owner] = field(default_factory=dict)  # owners of the other deals, by user id


def deal_access_of(viewer: Viewer, cards: Sequence[Card], people: Directory) -> DealAccess:
    """The deal access for all cards of a person, without a query."""
    deals = [row.deal for card in cards for row in card.deals]
    opened = frozenset(deal.id for deal in deals if sees_deal(viewer, deal, people))
    owners = {deal.responsible_id for deal in deals if deal.id not in opened}
    gives = can(viewer, Permission.TASKS_EDIT)
    return DealAccess(
        opened,
        {
            user_id: Owner(
                user_id,
                user.name,
                next(iter(people.extensions.get(user_id, [])), ""),
                gives and sees_user(viewer, user_id, people),
            )
            for user_id in owners
            if user_id is not None and (user := people.active(user_id)) is not None
        },
    )


async def about_call(session: AsyncSession, viewer: Viewer, call_id: int) -> tuple[int | None, int | None]:
    """The (deal id, contact id) for a task made from a call: the deal alone if the viewer sees it, else the client."""
    call = await access_call(session, viewer, call_id)
    if call.deal_id is not None:
        deal = await session.exec(select(Deal.id).where(Deal.id == call.deal_id, visible_deals(viewer)))
        if deal.first() is not None:
            return call.deal_id, None
    if call.contact_id is None:
        return None, None
    contact = await session.exec(select(Contact.id).where(Contact.id == call.contact_id, visible_contacts(viewer)))
    return None, contact.first()
