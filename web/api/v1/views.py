"""Saved views of the board and of the lists of deals, clients and companies."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.views import actions as view_actions
from pbxcrm.views.models import SavedView
from pbxcrm.views.queries import of_viewer
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, ListQuery, needed_text, optional_text
from web.api.resource import Ask, Page, Resource
from web.client_filters import check_query
from web.deal_filters import filters_in

views = Resource("views", "Saved views of the board and of the lists of deals, clients and companies.")


Of = Literal["deal", "contact", "company"]


class ViewOut(ApiAnswer):
    """A saved view."""

    id: int
    name: str
    of: FieldEntity = Field(description="Whose list it shows.")
    query: str = Field(
        description="The filters and the order, as in the address of the board or list; `show=table`: it is the list of deals."
    )
    team_id: int | None = Field(description="Whose view it is; null: one's own.")
    is_default: bool = Field(
        description="Whether the board opens with it; without effect on lists of clients and companies."
    )


class ViewQuery(ListQuery):
    """Whose list the views show."""

    of: Of = "deal"


class NewView(ApiRequest):
    """A new view. One of the same name, list and owner is replaced."""

    of: Of = Field("deal", description="Whose list it shows.")
    name: Annotated[str, needed_text(SavedView.name)]
    query: Annotated[str, optional_text(SavedView.query)] = ""
    for_team: bool = False
    is_default: bool = False


class ViewChange(ApiRequest):
    """Its new name, and whether it is the default."""

    name: Annotated[str, needed_text(SavedView.name)]
    is_default: bool = False


@views.get("/views", needs=Permission.DEALS_READ, summary="One's own views and those of one's teams")
async def read_views(ask: Ask, query: ViewQuery) -> Page[ViewOut]:
    before = checked_cursors.read_id(query.cursor)
    rows = sorted(await of_viewer(ask.session, ask.viewer, FieldEntity(query.of)), key=lambda view: -(view.id or 0))
    rows = [row for row in rows if before is None or (row.id or 0) < before][: query.limit + 1]
    return Page[ViewOut].of([_out(row) for row in rows], query.limit, lambda view: checked_cursors.next_of_id(view.id))


@views.post("/views", needs=Permission.DEALS_READ, summary="Save a view", location=lambda view: f"/views/{view.id}")
async def add_view(ask: Ask, body: NewView) -> ViewOut:
    """What is no filter is refused (422). A team's view is saved by its manager."""
    entity, clock = FieldEntity(body.of), AskedAt(ask.now, ZoneInfo("UTC"))
    if entity is FieldEntity.DEAL:
        (await filter_reader(ask.session, ask.viewer, clock, ask.settings.region)).read(filters_in(body.query))
    else:
        await check_query(ask.session, ask.viewer, ask.settings.region, entity, body.query, clock)
    view = await view_actions.save_view(
        ask.session,
        ask.viewer,
        body.name,
        body.query.removeprefix("?"),
        ask.now,
        for_team=body.for_team,
        is_default=body.is_default,
        entity=entity,
    )
    return _out(view)


@views.patch("/views/{view_id}", needs=Permission.DEALS_READ, summary="Rename a view, or make it the default")
async def change_view(ask: Ask, view_id: int, body: ViewChange) -> ViewOut:
    view = await view_actions.change_view(
        ask.session, ask.viewer, view_id, ask.now, name=body.name, is_default=body.is_default
    )
    return _out(view)


@views.delete("/views/{view_id}", needs=Permission.DEALS_READ, summary="Delete a view")
async def delete_view(ask: Ask, view_id: int) -> None:
    await view_actions.delete_view(ask.session, ask.viewer, view_id, ask.now)


def _out(view: SavedView) -> ViewOut:
    of = FieldEntity(view.entity)
    return ViewOut(
        id=view.id or 0, name=view.name, of=of, query=view.query, team_id=view.team_id, is_default=view.is_default
    )
