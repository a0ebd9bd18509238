"""Saved views of the board: of a person, or of a team, whose view its manager keeps."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.models import DealView
from pbxcrm.deals.view_queries import of_viewer
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound
from pbxcrm.shared.lengths import check_line, longest

MOST_VIEWS = 50  # of a person or a team


def may_keep(viewer: Viewer, team_id: int | None) -> bool:
    """Whether the viewer saves and changes views of this team: its manager and administrators. None: one's own views."""
    if team_id is None or viewer.role is Role.ADMIN:
        return True
    return viewer.role is Role.MANAGER and team_id in (viewer.team_id, *viewer.managed_team_ids)


async def save_view(
    session: AsyncSession, viewer: Viewer, name: str, query: str, now: datetime, *, for_team: bool, is_default: bool
) -> DealView:
    """Save a selection under a name; one of the same name and owner is replaced. Raises Invalid, NotAllowed."""
    check(viewer, Permission.DEALS_READ)
    name = check_line(name, DealView.name, "name", "views.name", "Write a name of up to {most} characters.")
    if len(query) > longest(DealView.query):
        raise Invalid("query", "views.too_long", "These are too many filters for a saved view.")
    team_id = viewer.team_id if for_team else None
    if for_team and (team_id is None or not may_keep(viewer, team_id)):
        raise NotAllowed("views.not_yours", "The manager of the team keeps its views.")
    theirs = [each for each in await of_viewer(session, viewer) if each.team_id == team_id]
    if len(theirs) >= MOST_VIEWS:
        raise Invalid("name", "views.too_many", "There can be at most {most} saved views: delete one.", most=MOST_VIEWS)
    view = next((each for each in theirs if each.name == name), None)
    if view is None:
        view = DealView(name=name, owner_id=viewer.user_id, team_id=team_id, query=query)
        session.add(view)
    view.query, view.version = query, view.version + 1
    _set_default(theirs, view, is_default=is_default)
    await session.flush()
    record(session, now, "view.saved", "view", view.id, actor=viewer, name=name, team_id=team_id)
    return view


async def change_view(
    session: AsyncSession, viewer: Viewer, view_id: int, now: datetime, *, name: str, is_default: bool
) -> DealView:
    """Rename a view, and make it the default or no longer. Raises NotFound, NotAllowed, Invalid."""
    view = await _access_kept(session, viewer, view_id)
    view.name = check_line(name, DealView.name, "name", "views.name", "Write a name of up to {most} characters.")
    view.version += 1
    theirs = [each for each in await of_viewer(session, viewer) if each.team_id == view.team_id]
    _set_default(theirs, view, is_default=is_default)
    record(session, now, "view.saved", "view", view.id, actor=viewer, name=view.name, team_id=view.team_id)
    return view


async def delete_view(session: AsyncSession, viewer: Viewer, view_id: int, now: datetime) -> DealView:
    """Put a view away; ``restore_view`` brings it back. Raises NotFound, NotAllowed."""
    view = await _access_kept(session, viewer, view_id)
    view.deleted_at = now
    record(session, now, "view.deleted", "view", view.id, actor=viewer, name=view.name)
    return view


async def restore_view(session: AsyncSession, viewer: Viewer, view_id: int, now: datetime) -> DealView:
    """Undo ``delete_view``. It is no default any more if another has become it. Raises NotFound, NotAllowed."""
    view = await _access_kept(session, viewer, view_id, deleted=True)
    theirs = [each for each in await of_viewer(session, viewer) if each.team_id == view.team_id]
    view.deleted_at = None
    view.is_default = view.is_default and not any(each.is_default for each in theirs)
    record(session, now, "view.restored", "view", view.id, actor=viewer, name=view.name)
    return view


def _set_default(theirs: list[DealView], view: DealView, *, is_default: bool) -> None:
    view.is_default = is_default
    for other in theirs:
        if is_default and other is not view:
            other.is_default = False


async def _access_kept(session: AsyncSession, viewer: Viewer, view_id: int, *, deleted: bool = False) -> DealView:
    query = select(DealView).where(DealView.id == view_id, col(DealView.deleted_at).is_not(None) == deleted)
    view = (await session.exec(query.with_for_update())).first()
    team_ids = (viewer.team_id, *viewer.managed_team_ids)
    mine = view is not None and (
        view.owner_id == viewer.user_id
        if view.team_id is None
        else view.team_id in team_ids or viewer.role is Role.ADMIN
    )
    if view is None or not mine:
        raise NotFound("views.not_found", "There is no such view any more.")
    if not may_keep(viewer, view.team_id):
        raise NotAllowed("views.not_yours", "The manager of the team keeps its views.")
    return view
