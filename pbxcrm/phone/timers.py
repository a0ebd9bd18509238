"""Expires orders that were not sent in time, so that nobody waits for a phone that will not ring."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.phone.actions import EXPIRY, LOST_AFTER, do_expire
from pbxcrm.phone.models import ACTIVE, PhoneCommand
from pbxcrm.shared.timers import Handler, Timer, set_timer


async def order_expired(session: AsyncSession, row: Timer, now: datetime) -> None:
    """The deadline of an order: expire it if it was not sent, and notify its user."""
    found = await session.exec(
        select(PhoneCommand)
        .where(PhoneCommand.id == int(row.payload["command"]))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    command = found.first()
    if command is None:
        return
    await do_expire(session, command, now)
    if command.status in ACTIVE and command.call_id is None:  # it was sent: its call may still come
        await set_timer(session, EXPIRY, row.key, command.expires_at + LOST_AFTER, row.payload)


HANDLERS: dict[str, Handler] = {EXPIRY: order_expired}
