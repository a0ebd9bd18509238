"""Takes a client who is erased out of lamps and pauses: when a lamp burned and at whom stays."""

from sqlalchemy import or_, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.lighting import say_lamp_changed
from pbxcrm.checkpoints.models import Lamp, Pause
from pbxcrm.checkpoints.relighting import is_reaction
from pbxcrm.contacts.hooks import GONE, Erasing
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_lamps(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. That a change of the rules put out a lamp stays: figures must not count it as work."""
    held, people = erasing.held, await load_directory(session)
    of_deals = one_of(session, col(Lamp.deal_id), held.deals)
    for lamp in await lock_rows(session, Lamp, or_(of_deals, one_of(session, col(Lamp.callback_id), held.callbacks))):
        lamp.note = lamp.error = ""
        if lamp.reason:
            lamp.reason = dict(erasing.why)
        if lamp.out_reason and is_reaction(lamp.out_reason):
            lamp.out_reason = dict(erasing.why)
        lamp.version += 1
        say_lamp_changed(session, lamp, erasing.at, people)
    pauses = update(Pause).where(one_of(session, col(Pause.deal_id), held.deals)).values(why=GONE)
    await session.exec(pauses.execution_options(synchronize_session=False))
