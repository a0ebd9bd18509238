"""Saved views of the board and of lists: of a person, or of a team, whose view its manager keeps."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.fields.models import FieldEntity
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_line, longest
from pbxcrm.views.access import edits_views_of, visible_views
from pbxcrm.views.audience import audience_of_view
from pbxcrm.views.models import SavedView
from pbxcrm.views.queries import of_viewer

MOST_VIEWS = 50  # of a person or a team


async def save_view(
    session: AsyncSession,
    viewer: Viewer,
    name: str,
    query: str,
    now: datetime,
    *,
    for_team: bool,
    is_default: bool,
    entity: FieldEntity = FieldEntity.DEAL,
) -> SavedView:
    """Save a selection under a name; one of the same name and owner is replaced. Raises Invalid, NotAllowed."""
    check(viewer, Permission.DEALS_READ if entity is FieldEntity.DEAL else Permission.CONTACTS_READ)
    name = check_line(name, SavedView.name, "name", "views.name", "Write a name of up to {most} characters.")
    if len(query) > longest(SavedView.query):
        raise Invalid("query", "views.too_long", "These are too many filters for a saved view.")
    team_id = viewer.team_id if for_team else None
    if for_team and (team_id is None or not edits_views_of(viewer, team_id)):
        raise NotAllowed("views.not_yours", "The manager of the team keeps its views.")
    theirs = [each for each in await of_viewer(session, viewer, entity) if each.team_id == team_id]
    if len(theirs) >= MOST_VIEWS:
        raise Invalid("name", "views.too_many", "There can be at most {most} saved views: delete one.", most=MOST_VIEWS)
    view = next((each for each in theirs if each.name == name), None)
    if view is None:
        view = SavedView(name=name, entity=entity.value, owner_id=viewer.user_id, team_id=team_id, query=query)
        session.add(view)
    view.query, view.version = query, view.version + 1
    _set_default(theirs, view, is_default=is_default)
    await session.flush()
    await _said(session, viewer, "view.saved", view, now)
    return view


async def change_view(
    session: AsyncSession, viewer: Viewer, view_id: int, now: datetime, *, name: str, is_default: bool
) -> SavedView:
    """Rename a view, and make it the default or no longer. Raises NotFound, NotAllowed, Invalid."""
    view = await _access_kept(session, viewer, view_id)
    view.name = check_line(name, SavedView.name, "name", "views.name", "Write a name of up to {most} characters.")
    view.version += 1
    theirs = await _beside(session, viewer, view)
    _set_default(theirs, view, is_default=is_default)
    await _said(session, viewer, "view.saved", view, now)
    return view


async def delete_view(session: AsyncSession, viewer: Viewer, view_id: int, now: datetime) -> SavedView:
    """Put a view away; ``restore_view`` brings it back. Raises NotFound, NotAllowed."""
    view = await _access_kept(session, viewer, view_id)
    view.deleted_at = now
    await _said(session, viewer, "view.deleted", view, now)
    return view


async def restore_view(session: AsyncSession, viewer: Viewer, view_id: int, now: datetime) -> SavedView:
    """Undo ``delete_view``. It is no default any more if another has become it. Raises NotFound, NotAllowed."""
    view = await _access_kept(session, viewer, view_id, deleted=True)
    theirs = await _beside(session, viewer, view)
    view.deleted_at = None
    view.is_default = view.is_default and not any(each.is_default for each in theirs)
    await _said(session, viewer, "view.restored", view, now)
    return view


async def _beside(session: AsyncSession, viewer: Viewer, view: SavedView) -> list[SavedView]:
    """The views of the same list and the same owner."""
    found = await of_viewer(session, viewer, FieldEntity(view.entity))
    return [each for each in found if each.team_id == view.team_id]


def _set_default(theirs: list[SavedView], view: SavedView, *, is_default: bool) -> None:
    view.is_default = is_default
    for other in theirs:
        if is_default and other is not view:
            other.is_default = False


async def _access_kept(session: AsyncSession, viewer: Viewer, view_id: int, *, deleted: bool = False) -> SavedView:
    gone = col(SavedView.deleted_at).is_not(None) == deleted
    query = select(SavedView).where(SavedView.id == view_id, gone, visible_views(viewer))
    view = (await session.exec(query.with_for_update())).first()
    if view is None:
        raise NotFound("views.not_found", "There is no such view any more.")
    if not edits_views_of(viewer, view.team_id):
        raise NotAllowed("views.not_yours", "The manager of the team keeps its views.")
    return view


async def _said(session: AsyncSession, viewer: Viewer, action: str, view: SavedView, now: datetime) -> None:
    record(session, now, action, "view", view.id, actor=viewer, name=view.name, team_id=view.team_id)
    await say_view_changed(session, view, now)


async def say_view_changed(session: AsyncSession, view: SavedView, now: datetime) -> None:
    """Notify everybody who sees the view."""
    heard = audience_of_view(view, await load_directory(session))
    emit(session, "view", view.id, now, users=heard.users, roles=heard.roles)
