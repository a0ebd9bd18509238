"""Changing the rows of calls; what a call makes of deals, callbacks and tasks is in ``pbxcrm.reactions``."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.models import Call


async def adopt_calls(session: AsyncSession, contact_id: int, number: str) -> None:
    """The calls of ``number`` that are nobody's become the contact's."""
    await session.exec(
        update(Call)
        .where(col(Call.client_number) == number, col(Call.contact_id).is_(None))
        .values(contact_id=contact_id)
        .execution_options(synchronize_session=False)
    )
