"""Reading the tags of deals."""

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import DealTag, Tag

MOST_LISTED = 200


async def list_tags(session: AsyncSession) -> list[Tag]:
    """All tags by name, as suggestions. A tag is a word of the whole office; it says nothing about a deal."""
    return list((await session.exec(select(Tag).order_by(col(Tag.name), col(Tag.id)).limit(MOST_LISTED))).all())


async def tags_of(session: AsyncSession, deal_ids: Collection[int]) -> dict[int, list[Tag]]:
    """The tags of deals, by the id of the deal, each by name."""
    found: dict[int, list[Tag]] = {}
    if deal_ids:
        rows = await session.exec(
            select(DealTag.deal_id, Tag)
            .join(Tag, col(Tag.id) == col(DealTag.tag_id))
            .where(col(DealTag.deal_id).in_(deal_ids))
            .order_by(col(Tag.name), col(Tag.id))
        )
        for deal_id, tag in rows.all():
            found.setdefault(deal_id, []).append(tag)
    return found
