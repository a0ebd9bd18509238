"""Reading the tags of deals."""

from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Deal, DealTag, Tag

MOST_LISTED = 200
_APART = "\n"  # no name has one


async def list_tags(session: AsyncSession) -> list[Tag]:
    """All tags by name, as suggestions. A tag is a word of the whole office; it says nothing about a deal."""
    return list((await session.exec(select(Tag).order_by(col(Tag.name), col(Tag.id)).limit(MOST_LISTED))).all())


async def tags_of(session: AsyncSession, deal_id: int) -> list[Tag]:
    """The tags of a deal by name, without access checks."""
    found = await session.exec(
        select(Tag)
        .join(DealTag, col(DealTag.tag_id) == col(Tag.id))
        .where(DealTag.deal_id == deal_id)
        .order_by(col(Tag.name))
    )
    return list(found.all())


def names_of_tags() -> Any:  # a scalar subquery
    """SQL for a row of ``Deal``: the names of its tags in one text for ``as_names``; NULL without tags."""
    names = select(func.aggregate_strings(col(Tag.name), _APART)).join(DealTag, col(DealTag.tag_id) == col(Tag.id))
    return names.where(col(DealTag.deal_id) == col(Deal.id)).correlate(Deal).scalar_subquery()


def as_names(joined: str | None) -> tuple[str, ...]:
    """The names in the text of ``names_of_tags``, in order."""
    return tuple(sorted(joined.split(_APART), key=str.casefold)) if joined else ()
