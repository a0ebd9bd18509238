"""Changes rows of calls. The effects of calls on deals, callbacks and tasks are in ``pbxcrm.reactions``."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.models import Call


async def adopt_calls(session: AsyncSession, contact_id: int, number: str) -> None:
    """Assign the calls of ``number`` without a contact to this contact."""
    await session.exec(
        update(Call)
        .where(col(Call.client_number) == number, col(Call.contact_id).is_(None))
        .values(contact_id=contact_id)
        .execution_options(synchronize_session=False)
    )
