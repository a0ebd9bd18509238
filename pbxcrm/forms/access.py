"""Whose requests one sees: those of the deals that one sees. Requests without a deal are seen by managers and administrators."""

from sqlalchemy import ColumnElement, and_, false, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.access.kept import kept
from pbxcrm.access.owners import there_is
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.forms.models import FormRequest
from pbxcrm.shared.errors import NotFound


@kept
def visible_requests(viewer: Viewer) -> ColumnElement[bool]:
    """A condition that is tested for each request: its deal is visible, or it has none and the viewer manages people."""
    of_deal = there_is(FormRequest, col(Deal.id) == col(FormRequest.deal_id), visible_deals(viewer))
    aside = col(FormRequest.deal_id).is_(None) if manages_requests(viewer) else false()
    return or_(and_(col(FormRequest.deal_id).is_not(None), of_deal), aside)


def manages_requests(viewer: Viewer) -> bool:
    """Whether the viewer sees requests that were set aside, and decides about them."""
    return can(viewer, Permission.REQUESTS_DECIDE)


async def access_request(session: AsyncSession, viewer: Viewer, request_id: int) -> FormRequest:
    """The request, if the viewer may see it. Raises NotFound."""
    found = await session.exec(select(FormRequest).where(col(FormRequest.id) == request_id, visible_requests(viewer)))
    request = found.first()
    if request is None:
        raise NotFound("forms.no_request", "There is no such request, or it is with a colleague's deal.")
    return request
