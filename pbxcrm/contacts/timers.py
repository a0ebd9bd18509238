"""The handlers of this context's timers."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.merge_actions import SETTLE, settle_merge
from pbxcrm.shared.timers import Handler, Timer


async def merge_settled(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Run ``settle_merge``, one minute after a merge."""
    await settle_merge(session, int(row.payload["merge"]), now)


HANDLERS: dict[str, Handler] = {SETTLE: merge_settled}
