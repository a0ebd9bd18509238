"""Queries for flags."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal
from pbxcrm.flags.access import visible_flags
from pbxcrm.flags.models import Flag
from pbxcrm.shared.core_sql import counted


@dataclass(frozen=True, slots=True)
class FlagFilter:
    """The filters of a list of flags. ``open``: True for unresolved flags, False for resolved ones, None for all."""

    open: bool | None = None
    deal_id: int | None = None
    call_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for flags."""
        asked = ((Flag.deal_id, self.deal_id), (Flag.call_id, self.call_id))
        found = [col(column) == value for column, value in asked if value is not None]
        if self.open is not None:
            found.append(col(Flag.resolved_at).is_(None) if self.open else col(Flag.resolved_at).is_not(None))
        return found


@dataclass(frozen=True, slots=True)
class ListedFlag:
    """A flag with its ``deal`` or ``call``; the other one is None."""

    flag: Flag
    deal: Deal | None
    call: Call | None


async def list_flags(
    session: AsyncSession, viewer: Viewer, asked: FlagFilter, *, before: int | None = None, limit: int = 50
) -> Sequence[ListedFlag]:
    """Flags that the viewer may see, newest first. ``before``: only those with a smaller id."""
    query = (
        select(Flag, Deal, Call)
        .join(Deal, col(Deal.id) == col(Flag.deal_id), isouter=True)
        .join(Call, col(Call.id) == col(Flag.call_id), isouter=True)
        .where(visible_flags(viewer), *asked.conditions())
        .order_by(col(Flag.id).desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(col(Flag.id) < before)
    return [ListedFlag(*row) for row in (await session.exec(query)).all()]


async def open_flags(session: AsyncSession, viewer: Viewer, now: datetime) -> int:
    """The number of unresolved flags that the viewer may see, for the navigation rail."""
    return await counted(session, _unresolved(viewer))


@kept
def _unresolved(viewer: Viewer) -> Any:  # Select
    return select(func.count()).select_from(Flag).where(col(Flag.resolved_at).is_(None), visible_flags(viewer))
