"""Who sees and changes a saved view: its owner, or the team whose view it is and its manager."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col

from pbxcrm.access.permissions import Permission, Viewer, can
from pbxcrm.views.models import SavedView


def visible_views(viewer: Viewer) -> ColumnElement[bool]:
    """The viewer's own views, and those of the viewer's team and of the teams they lead; also deleted ones."""
    own = and_(col(SavedView.team_id).is_(None), col(SavedView.owner_id) == viewer.user_id)
    return or_(own, col(SavedView.team_id).in_(_teams(viewer)))


def editable_views(viewer: Viewer) -> ColumnElement[bool]:
    """The visible ones that the viewer renames and deletes: their own, and those of teams by permission."""
    if can(viewer, Permission.TEAM_VIEWS_EDIT):
        return visible_views(viewer)
    return and_(visible_views(viewer), col(SavedView.team_id).is_(None))


def edits_views_of(viewer: Viewer, team_id: int | None) -> bool:
    """The same rule as ``editable_views``, for the views of a team. None: the viewer's own views."""
    return team_id is None or (can(viewer, Permission.TEAM_VIEWS_EDIT) and team_id in _teams(viewer))


def _teams(viewer: Viewer) -> list[int]:
    return [team_id for team_id in (viewer.team_id, *viewer.managed_team_ids) if team_id is not None]
