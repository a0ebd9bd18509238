"""Reading the saved views of the board."""

from collections.abc import Sequence

from sqlalchemy import and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.models import DealView


async def of_viewer(session: AsyncSession, viewer: Viewer) -> list[DealView]:
    """The viewer's own views and those of their teams, by name."""
    team_ids = [each for each in (viewer.team_id, *viewer.managed_team_ids) if each is not None]
    own = and_(col(DealView.team_id).is_(None), col(DealView.owner_id) == viewer.user_id)
    found = await session.exec(
        select(DealView)
        .where(or_(own, col(DealView.team_id).in_(team_ids)), col(DealView.deleted_at).is_(None))
        .order_by(col(DealView.name), col(DealView.id))
    )
    return list(found.all())


def default_of(views: Sequence[DealView]) -> DealView | None:
    """What its people see when they open the board: one's own default before the team's."""
    defaults = [view for view in views if view.is_default]
    return next((view for view in defaults if view.team_id is None), next(iter(defaults), None))
