"""Reading the saved views of the board and of lists."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.models import FieldEntity
from pbxcrm.views.access import visible_views
from pbxcrm.views.models import SavedView


async def of_viewer(session: AsyncSession, viewer: Viewer, entity: FieldEntity = FieldEntity.DEAL) -> list[SavedView]:
    """The viewer's own views and those of their teams, by name; of deals, or of clients or companies."""
    found = await session.exec(
        select(SavedView)
        .where(visible_views(viewer), col(SavedView.deleted_at).is_(None), SavedView.entity == entity.value)
        .order_by(col(SavedView.name), col(SavedView.id))
    )
    return list(found.all())


def default_of(views: Sequence[SavedView]) -> SavedView | None:
    """What its people see when they open the board: one's own default before the team's."""
    defaults = [view for view in views if view.is_default]
    return next((view for view in defaults if view.team_id is None), next(iter(defaults), None))
