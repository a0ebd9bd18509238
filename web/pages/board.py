"""The board: one column per stage, newest cards on top; further cards, single cards and column heads for an open board."""

from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, Viewer, can, sees_others
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals import queries
from pbxcrm.deals.board_queries import (
    BoardFilter,
    ColumnFigures,
    column_cards,
    figures,
    first_cards,
    get_card,
    narrowed,
    norm_limits,
)
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import NotFound
from web.cursors import next_of_time
from web.pages.common import asked_cursor, asked_number, asked_text, colleagues, show
from web.parts import now, parts, viewer

FIRST = 16  # cards loaded per column at first: more than fit on a screen
CARDS = 30  # cards loaded at once while scrolling


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board that is asked for. ``pipelines``: all of them."""

    pipeline: Pipeline
    stages: list[Stage]
    pipelines: list[Pipeline]
    chosen: BoardFilter


async def board(request: Request) -> Response:
    """``GET /board?pipeline=&mine=&who=&q=``: the address holds the filters."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        pipeline_id = shown.pipeline.id or 0
        shown = replace(shown, chosen=await narrowed(session, who, pipeline_id, shown.chosen))
        columns = await first_cards(session, who, pipeline_id, shown.stages, shown.chosen, cards=FIRST)
        heads = await _figures(session, request, shown)
        people = await colleagues(session, who) if sees_others(who) else []
    return show(
        request,
        "deals/board.html",
        shown=shown,
        columns=columns,
        heads=heads,
        people=people,
        may_move=can(who, Permission.DEALS_EDIT),
        next_of={
            stage_id: next_of_time(rows[-1].deal.stage_since, rows[-1].deal.id)
            for stage_id, rows in columns.items()
            if rows
        },
        cards_at_once=FIRST,
    )


async def column(request: Request) -> Response:
    """``GET /board/columns/{stage_id}?cursor=``: the next cards of a column, and the element that loads the ones after them."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        stage = next((found for found in shown.stages if found.id == request.path_params["stage_id"]), None)
        if stage is None or stage.id is None:
            raise NotFound("deals.no_stage", "There is no such stage any more.")
        rows = await column_cards(session, who, stage.id, shown.chosen, after=asked_cursor(request), limit=CARDS + 1)
    more = next_of_time(rows[CARDS - 1].deal.stage_since, rows[CARDS - 1].deal.id) if len(rows) > CARDS else ""
    return show(
        request,
        "deals/_cards.html",
        stage=stage,
        rows=rows[:CARDS],
        more=more,
        may_move=can(who, Permission.DEALS_EDIT),
    )


async def card(request: Request) -> Response:
    """``GET /board/cards/{deal_id}``: one card as this board shows it; 204 if it is not on this board (any more)."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        row = await get_card(session, who, shown.pipeline.id or 0, request.path_params["deal_id"], shown.chosen)
    if row is None:
        return Response(status_code=204)
    return show(request, "deals/_card.html", row=row, may_move=can(who, Permission.DEALS_EDIT))


async def heads(request: Request) -> Response:
    """``GET /board/heads``: the heads of all columns, with current figures."""
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        found = await _figures(session, request, shown)
    return show(request, "deals/_heads.html", stages=shown.stages, heads=found)


async def _shown(session: AsyncSession, request: Request) -> BoardView:
    pipelines = await queries.list_pipelines(session)
    if not pipelines:
        raise NotFound("deals.no_pipeline", "There is no pipeline yet. Ask an administrator.")
    wanted = asked_number(request, "pipeline")
    default = next((found for found in pipelines if found[0].is_default), pipelines[0])
    pipeline, stages = next((found for found in pipelines if found[0].id == wanted), default)
    return BoardView(pipeline, stages, [found for found, _ in pipelines], _chosen(request, viewer(request)))


def _chosen(request: Request, who: Viewer) -> BoardFilter:
    whose = who.user_id if "mine" in request.query_params else asked_number(request, "who")
    return BoardFilter(
        responsible_id=whose, nobodys=request.query_params.get("who") == "nobody", text=asked_text(request)
    )


async def _figures(session: AsyncSession, request: Request, shown: BoardView) -> dict[int, ColumnFigures]:
    calendars = await load_calendars(session, await load_directory(session))
    limits = norm_limits(shown.stages, calendars.of_user(viewer(request).user_id), now(request))
    return await figures(session, viewer(request), shown.stages, shown.chosen, limits)
