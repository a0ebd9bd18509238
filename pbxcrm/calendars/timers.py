"""What happens when a leave begins that was entered before."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.hooks import leave_begun
from pbxcrm.calendars.models import Leave
from pbxcrm.shared.timers import Handler, Timer

LEAVE_BEGINS = "calendars.leave_begins"


async def leave_begins(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Timer handler: ask others for what the person was asked for, unless the leave was taken back meanwhile."""
    leave = await session.get(Leave, int(row.payload["leave"]))
    if leave is not None and leave.starts_at <= now < leave.ends_at:
        await leave_begun(session, leave.user_id, now)


HANDLERS: dict[str, Handler] = {LEAVE_BEGINS: leave_begins}
