"""The reader of requests for the timeline of a deal or a client."""

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.forms.access import visible_requests
from pbxcrm.forms.models import FormRequest
from pbxcrm.timeline.entries import Entry, EntryKind, TimelineQuery
from pbxcrm.timeline.sources import page_of


async def read_requests(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Requests of the deal and of deals merged into it; or of the client, as far as the viewer sees their deals."""
    own: ColumnElement[bool]
    if asked.deal_id is not None:
        own = col(FormRequest.deal_id).in_(asked.with_merged)
    else:
        own = col(FormRequest.contact_id) == asked.contact_id
    query = select(FormRequest).where(own)
    if asked.deal_id is None:
        query = query.where(visible_requests(asked.viewer))
    found = await session.exec(page_of(query, EntryKind.REQUEST, col(FormRequest.at), col(FormRequest.id), asked))
    return [
        Entry(EntryKind.REQUEST, request.at, request.id or 0, request, None, request.reason) for request in found.all()
    ]
