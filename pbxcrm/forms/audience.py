"""Who hears of a request: everybody who sees it (``access.visible_requests``)."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import LEADING, Audience
from pbxcrm.access.owners import People
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.models import Deal
from pbxcrm.forms.models import FormRequest
from pbxcrm.shared.events import emit


async def audience_of_request(session: AsyncSession, request: FormRequest, people: People) -> Audience:
    """Who sees its deal; of one that was set aside, those who decide about it."""
    if request.deal_id is None:
        return Audience(frozenset(), LEADING)
    return audience_of_deal(await session.get_one(Deal, request.deal_id), people)


async def say_request_changed(session: AsyncSession, request: FormRequest, at: datetime, people: People) -> None:
    """Notify everybody who sees the request."""
    heard = await audience_of_request(session, request, people)
    emit(session, "request", request.id, at, users=heard.users, roles=heard.roles)
