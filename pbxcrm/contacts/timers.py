"""The handlers of this context's timers."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.company_merge_actions import SETTLE as SETTLE_COMPANY
from pbxcrm.contacts.company_merge_actions import settle_company_merge
from pbxcrm.contacts.merge_actions import SETTLE, settle_merge
from pbxcrm.shared.timers import Handler, Timer


async def merge_settled(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Run ``settle_merge``, one minute after a merge."""
    await settle_merge(session, int(row.payload["merge"]), now)


async def company_merge_settled(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Run ``settle_company_merge``, one minute after a merge."""
    await settle_company_merge(session, int(row.payload["merge"]), now)


HANDLERS: dict[str, Handler] = {SETTLE: merge_settled, SETTLE_COMPANY: company_merge_settled}
