"""Saved views of the board and of lists: saving what is shown, renaming, the default, deleting with undo."""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.views import actions as view_actions
from pbxcrm.views.access import edits_views_of
from pbxcrm.views.queries import of_viewer
from web.answers import redirect, toast
from web.client_filters import check_query
from web.deal_filters import LISTS, address_of, filter_of
from web.forms import read_form
from web.i18n import gettext as _
from web.i18n import here
from web.pages.common import show
from web.parts import now, parts, viewer

KEPT_OUT = frozenset({"view", "cursor", "after", "job", "format"})  # of the address, what is no part of a view


def _entity(request: Request) -> FieldEntity:
    return next((of for of, path in LISTS.items() if request.url.path.startswith(path)), FieldEntity.DEAL)


async def views(request: Request) -> Response:
    """``GET /board/views``, ``/contacts/views``, ``/companies/views``: the form that saves what is shown, and the views that the viewer may change."""
    who = viewer(request)
    entity = _entity(request)
    async with parts(request).db.read() as session:
        found = await of_viewer(session, who, entity)
    return show(
        request,
        "deals/_views.html",
        views=[view for view in found if edits_views_of(who, view.team_id)],
        query=request.url.query,
        path="/board" if entity is FieldEntity.DEAL else request.url.path.removesuffix("/views"),
        for_team=who.team_id is not None and edits_views_of(who, who.team_id),
    )


async def save(request: Request) -> Response:
    """``POST`` of the same: ``name``, ``query`` (the address of the board or list), ``for_team``, ``is_default``."""
    form, entity = await read_form(request), _entity(request)
    query = urlencode([pair for pair in parse_qsl(form["query"].removeprefix("?")) if pair[0] not in KEPT_OUT])
    async with parts(request).db.write() as session:
        if entity is FieldEntity.DEAL:  # what is no filter is not saved
            await filter_of(session, request, query)
        else:
            clock = AskedAt(now(request), here().timezone)
            await check_query(session, viewer(request), parts(request).settings.region, entity, query, clock)
        view = await view_actions.save_view(
            session,
            viewer(request),
            form["name"],
            query,
            now(request),
            for_team=form.ticked("for_team"),
            is_default=form.ticked("is_default"),
            entity=entity,
        )
    return redirect(request, address_of(view), done="saved")


async def change(request: Request) -> Response:
    """``POST /board/views/{view_id}``: ``name`` and ``is_default``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        view = await view_actions.change_view(
            session,
            viewer(request),
            request.path_params["view_id"],
            now(request),
            name=form["name"],
            is_default=form.ticked("is_default"),
        )
    return redirect(request, address_of(view), done="saved")


async def delete(request: Request) -> Response:
    """``POST /board/views/{view_id}/delete``, with undo."""
    view_id = request.path_params["view_id"]
    async with parts(request).db.write() as session:
        view = await view_actions.delete_view(session, viewer(request), view_id, now(request))
    said = _("The view “{name}” has been deleted.").format(name=view.name)
    return toast(request, said, undo=f"/board/views/{view_id}/restore")


async def restore(request: Request) -> Response:
    """``POST /board/views/{view_id}/restore``: undo of the deletion."""
    async with parts(request).db.write() as session:
        view = await view_actions.restore_view(session, viewer(request), request.path_params["view_id"], now(request))
    return redirect(request, address_of(view), done="saved")
