"""Takes a client who is erased out of what the rules said about new deals: who got which deal, and by which rule, stays."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.distribution.models import DistributionChoice
from pbxcrm.shared.core_sql import one_of


async def erase_from_choices(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. The deals notify those who see them."""
    of_them = one_of(session, col(DistributionChoice.deal_id), erasing.held.deals)
    change = update(DistributionChoice).where(of_them).values(reason=dict(erasing.why))
    await session.exec(change.execution_options(synchronize_session=False))
