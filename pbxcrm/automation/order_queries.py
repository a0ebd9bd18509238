"""Which of a client's orders a won deal is. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel
from pbxcrm.shared.core_sql import one_of


@dataclass(frozen=True, slots=True)
class WonDeal:
    """A deal that is won, when it was, and in which pipeline."""

    deal_id: int
    pipeline_id: int
    at: datetime


async def won_of_clients(session: AsyncSession, deals: Sequence[Deal]) -> dict[int, list[WonDeal]]:
    """Every won deal of the clients of these deals, by client."""
    clients = list({deal.contact_id for deal in deals if deal.contact_id is not None})
    won = [stage.id or 0 for stage in (await load_funnel(session)).stages.values() if stage.kind == StageKind.WON]
    query = select(Deal).where(
        one_of(session, col(Deal.contact_id), clients),
        col(Deal.stage_id).in_(won),
        col(Deal.closed_at).is_not(None),
        col(Deal.merged_into_id).is_(None),
    )
    found: dict[int, list[WonDeal]] = {}
    for deal in (await session.exec(query)).all():
        if deal.contact_id is not None and deal.closed_at is not None:
            found.setdefault(deal.contact_id, []).append(WonDeal(deal.id or 0, deal.pipeline_id, deal.closed_at))
    return found


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
