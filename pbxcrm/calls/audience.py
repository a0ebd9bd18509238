"""Who hears that a call rings, is answered or ends."""

from collections.abc import Collection

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.deals.models import Deal


def audience_of_call(
    responsible_id: int | None, phones_of: Collection[int | None], deal_owner: tuple[int | None] | None, people: People
) -> Audience:
    """Who is notified of a call. ``phones_of``: user ids of its legs; ``deal_owner``: (user id,) if it belongs to a deal."""
    heard = heard_by(people, responsible_id, *phones_of)
    return heard | heard_by(people, *deal_owner) if deal_owner is not None else heard


async def audience_of_stored_call(session: AsyncSession, call: Call, people: People) -> Audience:
    """The same for a call whose legs and deal are read from the database."""
    phones = (await session.exec(select(CallLeg.user_id).where(CallLeg.call_id == call.id))).all()
    deal = await session.get(Deal, call.deal_id) if call.deal_id is not None else None
    return audience_of_call(call.responsible_id, phones, (deal.responsible_id,) if deal is not None else None, people)
