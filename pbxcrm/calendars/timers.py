"""What happens when a leave begins or ends that was entered before."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.hooks import absences_changed
from pbxcrm.shared.timers import Handler, Timer

LEAVE_BEGINS = "calendars.leave_begins"
LEAVE_ENDS = "calendars.leave_ends"


async def leave_turns(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Timer handler: somebody is away from now on, or is back. Whether they are is read from the leaves."""
    await absences_changed(session, now)


HANDLERS: dict[str, Handler] = {LEAVE_BEGINS: leave_turns, LEAVE_ENDS: leave_turns}
