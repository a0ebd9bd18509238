"""Who hears of a flag: everybody who sees its deal or call."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Audience
from pbxcrm.access.owners import People
from pbxcrm.calls.audience import audience_of_call
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal
from pbxcrm.flags.models import Flag


async def audience_of_flag(session: AsyncSession, flag: Flag, people: People) -> Audience:
    """Who is notified of the flag: everybody who sees its deal or call."""
    if flag.call_id is None:
        deal = await session.get_one(Deal, flag.deal_id)
        return audience_of_deal(deal, people)
    call = await session.get_one(Call, flag.call_id)
    phones = (await session.exec(select(CallLeg.user_id).where(CallLeg.call_id == call.id))).all()
    deal_of = await session.get(Deal, call.deal_id) if call.deal_id is not None else None
    return audience_of_call(call.responsible_id, phones, (deal_of.responsible_id,) if deal_of else None, people)
