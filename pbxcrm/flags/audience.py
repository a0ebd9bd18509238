"""Who hears of a flag: everybody who sees its deal or call."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Audience
from pbxcrm.access.owners import People
from pbxcrm.calls.audience import audience_of_stored_call
from pbxcrm.calls.models import Call
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal
from pbxcrm.flags.models import Flag


async def audience_of_flag(session: AsyncSession, flag: Flag, people: People) -> Audience:
    """Who is notified of the flag: everybody who sees its deal or call."""
    if flag.call_id is None:
        deal = await session.get_one(Deal, flag.deal_id)
        return audience_of_deal(deal, people)
    return await audience_of_stored_call(session, await session.get_one(Call, flag.call_id), people)
