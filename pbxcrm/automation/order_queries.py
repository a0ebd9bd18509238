"""Which of a client's orders a won deal is. Only reads."""

from sqlalchemy import and_, or_
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel


async def order_of(session: AsyncSession, deal: Deal) -> int:
    """1 for the first won deal of the client in its pipeline, 2 for the next; 0 for one that is not won, or nobody's.

    Only its own pipeline counts: a lead that was won becomes a deal in the next one, and is no order.
    """
    won = [
        stage.id or 0
        for stage in (await load_funnel(session)).stages.values()
        if stage.kind == StageKind.WON and stage.pipeline_id == deal.pipeline_id
    ]
    if deal.closed_at is None or deal.stage_id not in won or deal.contact_id is None:
        return 0
    is_before = or_(
        col(Deal.closed_at) < deal.closed_at, and_(col(Deal.closed_at) == deal.closed_at, col(Deal.id) < deal.id)
    )
    mine = (Deal.contact_id == deal.contact_id, col(Deal.stage_id).in_(won), col(Deal.merged_into_id).is_(None))
    return (await session.exec(select(func.count()).select_from(Deal).where(*mine, is_before))).one() + 1
