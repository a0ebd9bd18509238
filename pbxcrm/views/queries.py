"""Reading the saved views of the board and of lists."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.access import visible_views
from pbxcrm.deals.models import DealView
from pbxcrm.fields.models import FieldEntity


async def of_viewer(session: AsyncSession, viewer: Viewer, entity: FieldEntity = FieldEntity.DEAL) -> list[DealView]:
    """The viewer's own views and those of their teams, by name; of deals, or of clients or companies."""
    found = await session.exec(
        select(DealView)
        .where(visible_views(viewer), col(DealView.deleted_at).is_(None), DealView.entity == entity.value)
        .order_by(col(DealView.name), col(DealView.id))
    )
    return list(found.all())


def default_of(views: Sequence[DealView]) -> DealView | None:
    """What its people see when they open the board: one's own default before the team's."""
    defaults = [view for view in views if view.is_default]
    return next((view for view in defaults if view.team_id is None), next(iter(defaults), None))
