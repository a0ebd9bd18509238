"""Who sees a flag and is notified of it: everybody who sees its deal or call."""

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Audience, Viewer
from pbxcrm.access.owners import People, there_is
from pbxcrm.calls.access import audience_of_call, visible_calls
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.deals.access import audience_of_deal, visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.flags.models import Flag
from pbxcrm.shared.errors import NotFound


def visible_flags(viewer: Viewer) -> ColumnElement[bool]:
    """Flags on visible deals and calls. The subqueries run per flag, because there are few flags and many calls."""
    return or_(
        there_is(Flag, col(Deal.id) == col(Flag.deal_id), visible_deals(viewer)),
        there_is(Flag, col(Call.id) == col(Flag.call_id), visible_calls(viewer)),
    )


async def access_flag(session: AsyncSession, viewer: Viewer, flag_id: int) -> Flag:
    """The flag, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Flag).where(Flag.id == flag_id, visible_flags(viewer)))).first()
    if found is None:
        raise NotFound("flags.not_found", "There is no such flag, or it is on a colleague's deal or call.")
    return found


async def audience_of_flag(session: AsyncSession, flag: Flag, people: People) -> Audience:
    """Who is notified of the flag: everybody who sees its deal or call."""
    if flag.call_id is None:
        deal = await session.get_one(Deal, flag.deal_id)
        return audience_of_deal(deal, people)
    call = await session.get_one(Call, flag.call_id)
    phones = (await session.exec(select(CallLeg.user_id).where(CallLeg.call_id == call.id))).all()
    deal_of = await session.get(Deal, call.deal_id) if call.deal_id is not None else None
    return audience_of_call(call.responsible_id, phones, (deal_of.responsible_id,) if deal_of else None, people)
