"""The reader of messages for the timeline of a deal or a client."""

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.messages.access import visible_messages
from pbxcrm.messages.models import TO_CLIENTS, Delivery
from pbxcrm.timeline.entries import Entry, EntryKind, TimelineQuery
from pbxcrm.timeline.sources import page_of


async def read_messages(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Messages to the client: about the deal and deals merged into it; of a client those about deals that the viewer sees."""
    own: ColumnElement[bool]
    if asked.deal_id is not None:
        own = col(Delivery.deal_id).in_(asked.with_merged)
    else:
        own = (col(Delivery.contact_id) == asked.contact_id) & visible_messages(asked.viewer)
    query = select(Delivery).where(own, col(Delivery.channel).in_(TO_CLIENTS))
    found = await session.exec(page_of(query, EntryKind.MESSAGE, col(Delivery.created_at), col(Delivery.id), asked))
    return [Entry(EntryKind.MESSAGE, row.created_at, row.id or 0, row, row.by_id, row.why) for row in found.all()]
