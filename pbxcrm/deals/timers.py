"""The handlers of this context's timers, besides those of stages (``pipeline_actions``)."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.merge_actions import SETTLE, settle_deal_merge
from pbxcrm.shared.timers import Handler, Timer


async def merge_settled(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Run ``settle_deal_merge``, one minute after a merge."""
    await settle_deal_merge(session, int(row.payload["merge"]), now)


HANDLERS: dict[str, Handler] = {SETTLE: merge_settled}
