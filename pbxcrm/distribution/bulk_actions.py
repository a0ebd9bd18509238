"""Giving many deals by the rules at once, as an act of ``deals.bulk_jobs``, and taking it back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.bulk_jobs import BulkAct, give_back
from pbxcrm.distribution.actions import hand_out, take_back


async def distribute(
    session: AsyncSession, viewer: Viewer, _asked: BulkAct, deal_id: int, version: int | None, now: datetime
) -> dict[str, Any]:
    """Give one deal by the rules; returns what the undo restores. Raises Conflict if no rule has anybody for it."""
    before, choice = await hand_out(session, viewer, deal_id, version, now)
    return {"responsible_id": before, "to": choice.user_id, "choice": choice.id} if before != choice.user_id else {}


async def undistribute(
    session: AsyncSession, viewer: Viewer, _asked: BulkAct, deal_id: int, before: Mapping[str, Any], now: datetime
) -> None:
    """Give one deal back to whoever had it, and count it for nobody's day. Raises Conflict if somebody has changed it since."""
    await give_back(session, viewer, deal_id, before["to"], before["responsible_id"], now)
    await take_back(session, before["choice"])
