"""Deletes the flags on deals and calls of a client who is erased."""

from sqlalchemy import or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.flags.actions import say_flag_changed
from pbxcrm.flags.models import Flag
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_flags(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``."""
    held = erasing.held
    of_them = or_(one_of(session, col(Flag.deal_id), held.deals), one_of(session, col(Flag.call_id), held.calls))
    for flag in await lock_rows(session, Flag, of_them):
        await say_flag_changed(session, flag, erasing.at)
        await session.delete(flag)
    await session.flush()
