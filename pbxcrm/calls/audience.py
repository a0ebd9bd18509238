"""Who hears that a call rings, is answered or ends."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.owners import Audience, People, heard_by
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import one_of


def audience_of_call(
    responsible_id: int | None, phones_of: Collection[int | None], deal_owner: tuple[int | None] | None, people: People
) -> Audience:
    """Who is notified of a call. ``phones_of``: user ids of its legs; ``deal_owner``: (user id,) if it belongs to a deal."""
    heard = heard_by(people, responsible_id, *phones_of)
    return heard | heard_by(people, *deal_owner) if deal_owner is not None else heard


async def audience_of_stored_call(session: AsyncSession, call: Call, people: People) -> Audience:
    """The same for a call whose legs and deal are read from the database."""
    [(_call, heard)] = await audiences_of_stored_calls(session, [call], people)
    return heard


async def audiences_of_stored_calls(
    session: AsyncSession, calls: Sequence[Call], people: People
) -> list[tuple[Call, Audience]]:
    """The same for many calls, with two queries for all of them."""
    ids = [call.id or 0 for call in calls]
    legs = await session.exec(
        select(CallLeg.call_id, CallLeg.user_id).where(one_of(session, col(CallLeg.call_id), ids))
    )
    phones = defaultdict[int, list[int | None]](list)
    for call_id, user_id in legs.all():
        phones[call_id].append(user_id)
    deals = sorted({call.deal_id for call in calls if call.deal_id is not None})
    found = await session.exec(select(Deal.id, Deal.responsible_id).where(one_of(session, col(Deal.id), deals)))
    owners = dict(found.all())
    return [
        (call, audience_of_call(call.responsible_id, phones[call.id or 0], _owner(call, owners), people))
        for call in calls
    ]


def _owner(call: Call, owners: Mapping[int | None, int | None]) -> tuple[int | None] | None:
    return (owners[call.deal_id],) if call.deal_id in owners else None
