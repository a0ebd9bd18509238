"""What one reaches from a call card beyond the call itself: the deals one may open, and whose the others are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can, visible_contacts, visible_deals, visible_users
from pbxcrm.calls.queries import access_call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.people.queries import load_directory
from pbxcrm.screenpop.cards import Card


@dataclass(frozen=True, slots=True)
class Owner:
    """The colleague a deal belongs to. ``extension`` is empty where no phone is theirs."""

    user_id: int
    name: str
    extension: str
    takes_tasks: bool  # the viewer may give them something to do


@dataclass(frozen=True, slots=True)
class Reach:
    deals: frozenset[int | None] = frozenset()  # which of the deals on the cards the viewer may open
    owners: dict[int | None, Owner] = field(default_factory=dict)  # by user id: who has the others


async def load_reach(session: AsyncSession, viewer: Viewer, cards: Sequence[Card]) -> Reach:
    """For all cards at once. Without a deal of somebody else's it asks the database nothing."""
    rows = [row for card in cards for row in card.deals]
    own = {row.deal.id for row in rows if row.deal.responsible_id == viewer.user_id}
    others = {row.deal.id for row in rows} - own
    if not others:
        return Reach(frozenset(own))
    found = await session.exec(select(Deal.id).where(col(Deal.id).in_(others), visible_deals(viewer)))
    opened = frozenset({*own, *found.all()})
    wanted = {row.deal.responsible_id for row in rows if row.deal.id not in opened} - {None}
    return Reach(opened, await _owners(session, viewer, wanted) if wanted else {})


async def _owners(session: AsyncSession, viewer: Viewer, user_ids: set[int | None]) -> dict[int | None, Owner]:
    people = await load_directory(session)
    mates = await session.exec(select(User.id).where(col(User.id).in_(user_ids), visible_users(viewer)))
    given = set(mates.all()) if can(viewer, Permission.TASKS_EDIT) else set()
    return {
        user_id: Owner(user_id, user.name, next(iter(people.extensions.get(user_id, [])), ""), user_id in given)
        for user_id in user_ids
        if user_id is not None and (user := people.active(user_id)) is not None
    }


async def about_call(session: AsyncSession, viewer: Viewer, call_id: int) -> tuple[int | None, int | None]:
    """What a task made of a call is about: ids of its deal and its client. The deal alone where one may see it, else the client."""
    call = await access_call(session, viewer, call_id)
    if call.deal_id is not None:
        deal = await session.exec(select(Deal.id).where(Deal.id == call.deal_id, visible_deals(viewer)))
        if deal.first() is not None:
            return call.deal_id, None
    if call.contact_id is None:
        return None, None
    contact = await session.exec(select(Contact.id).where(Contact.id == call.contact_id, visible_contacts(viewer)))
    return None, contact.first()
