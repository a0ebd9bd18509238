"""Saved views of the board and the list of deals."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission
from pbxcrm.deals import view_actions
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.deals.models import DealView
from pbxcrm.deals.view_queries import of_viewer
from pbxcrm.fields.conditions import AskedAt
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, ListQuery, needed_text, optional_text
from web.api.resource import Ask, Page, Resource
from web.deal_filters import filters_in

views = Resource("views", "Saved views of the board and the list of deals.")


class ViewOut(ApiAnswer):
    """A saved view."""

    id: int
    name: str
    query: str = Field(
        description="The filters and the order, as in the address of the board; `show=table`: it is a list."
    )
    team_id: int | None = Field(description="Whose view it is; null: one's own.")
    is_default: bool = Field(description="Whether the board opens with it.")


class NewView(ApiRequest):
    """A new view. One of the same name and owner is replaced."""

    name: Annotated[str, needed_text(DealView.name)]
    query: Annotated[str, optional_text(DealView.query)] = ""
    for_team: bool = False
    is_default: bool = False


class ViewChange(ApiRequest):
    """Its new name, and whether it is the default."""

    name: Annotated[str, needed_text(DealView.name)]
    is_default: bool = False


@views.get("/views", needs=Permission.DEALS_READ, summary="One's own views and those of one's teams")
async def read_views(ask: Ask, query: ListQuery) -> Page[ViewOut]:
    before = checked_cursors.read_id(query.cursor)
    rows = sorted(await of_viewer(ask.session, ask.viewer), key=lambda view: -(view.id or 0))
    rows = [row for row in rows if before is None or (row.id or 0) < before][: query.limit + 1]
    return Page[ViewOut].of([_out(row) for row in rows], query.limit, lambda view: checked_cursors.next_of_id(view.id))


@views.post("/views", needs=Permission.DEALS_READ, summary="Save a view", location=lambda view: f"/views/{view.id}")
async def add_view(ask: Ask, body: NewView) -> ViewOut:
    """What is no filter is refused (422). A team's view is saved by its manager."""
    await _check(ask.session, ask, body.query)
    view = await view_actions.save_view(
        ask.session,
        ask.viewer,
        body.name,
        body.query.removeprefix("?"),
        ask.now,
        for_team=body.for_team,
        is_default=body.is_default,
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


async def _check(session: AsyncSession, ask: Ask, query: str) -> None:
    clock = AskedAt(ask.now, ZoneInfo("UTC"))
    (await filter_reader(session, ask.viewer, clock, ask.settings.region)).read(filters_in(query))


def _out(view: DealView) -> ViewOut:
    return ViewOut(id=view.id or 0, name=view.name, query=view.query, team_id=view.team_id, is_default=view.is_default)
