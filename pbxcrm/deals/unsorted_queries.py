"""Queries on Unsorted: deals that a call made and that somebody is to accept, merge, attach or refuse."""

from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import load_funnel, stage_of_kind
from pbxcrm.shared.core_sql import counted, list_param
from pbxcrm.shared.errors import Conflict

MOST_COUNTED = 1000


async def _stage_ids(session: AsyncSession) -> list[int]:
    """Ids of the stages of this kind that are not archived."""
    stages = (await load_funnel(session)).stages.values()
    return [stage.id or 0 for stage in stages if stage.kind == StageKind.UNSORTED and stage.archived_at is None]


async def count_unsorted(session: AsyncSession, viewer: Viewer) -> int:
    """How many unsorted deals the viewer sees; ``MOST_COUNTED`` stands for all larger numbers."""
    return await counted(session, _unsorted(viewer), {"stages": await _stage_ids(session)})


@kept
def _unsorted(viewer: Viewer) -> Any:  # Select
    found = select(col(Deal.id)).where(col(Deal.stage_id).in_(list_param("stages")), visible_deals(viewer))
    return select(func.count()).select_from(found.limit(MOST_COUNTED).subquery())


async def list_unsorted(session: AsyncSession, viewer: Viewer, limit: int) -> list[Deal]:
    """The unsorted deals that the viewer sees, the one that waits longest first."""
    found = await session.exec(
        select(Deal)
        .where(col(Deal.stage_id).in_(await _stage_ids(session)), visible_deals(viewer))
        .order_by(col(Deal.stage_since), col(Deal.id))
        .limit(limit)
    )
    return list(found.all())


async def first_stage_of_work(session: AsyncSession, pipeline_id: int) -> Stage:
    """Where an accepted deal goes. Raises Conflict for a pipeline without such a stage."""
    stage = await stage_of_kind(session, pipeline_id, StageKind.OPEN)
    if stage is None:
        raise Conflict("unsorted.no_stage", "The pipeline has no stage of work. Ask an administrator.")
    return stage
