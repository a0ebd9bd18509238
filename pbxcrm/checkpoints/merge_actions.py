"""The lamps of a deal that is merged: they go out with it, and burn again when the merge is undone."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.context import load_engine
from pbxcrm.checkpoints.lighting import relight, undo_state_of_lamp
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.deals.hooks import DealsMerging, DealsUnmerging

KEPT = "lamps"  # our key in ``DealsMerging.kept``


async def keep_lamps(session: AsyncSession, merging: DealsMerging) -> None:
    """Store the burning lamps of the merged deal; the engine then puts them out, because the deal is closed."""
    found = await session.exec(
        select(Lamp)
        .where(
            Lamp.deal_id == merging.from_id,
            Lamp.subject == Subject.DEAL.value,
            Lamp.state == LampState.BURNING.value,
        )
        .order_by(col(Lamp.id))
    )
    merging.kept[KEPT] = [await undo_state_of_lamp(session, lamp) for lamp in found.all()]


async def relight_lamps(session: AsyncSession, unmerging: DealsUnmerging) -> None:
    """Light the lamps again that the merge put out."""
    context = await load_engine(session)
    for standing in unmerging.kept.get(KEPT, []):
        await relight(session, context, standing, unmerging.viewer, unmerging.at)
