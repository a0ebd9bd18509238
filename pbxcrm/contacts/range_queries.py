"""Queries on ranges of own and spam numbers."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import NumberKind, SpecialRange
from pbxcrm.shared.config_cache import cached_until_changed


async def load_ranges(session: AsyncSession) -> Sequence[SpecialRange]:
    """All ranges, the lowest first, from a cache that is reloaded after a change."""
    return await cached_until_changed(session, _read_ranges)


async def _read_ranges(session: AsyncSession) -> Sequence[SpecialRange]:
    return (await session.exec(select(SpecialRange).order_by(col(SpecialRange.first)))).all()


async def kind_by_range(session: AsyncSession, number: str) -> NumberKind | None:
    """Whether a range makes the number ours or spam. Whether a client has it is not asked here."""
    found = next((each for each in await load_ranges(session) if each.holds(number)), None)
    return NumberKind(found.kind) if found is not None else None
