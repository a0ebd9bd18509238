"""The board: one column per stage, newest cards on top; further cards, single cards and column heads for an open board."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.access import Permission, can, sees_team
from pbxcrm.automation.mass_changes import rules_listening
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals import queries
from pbxcrm.deals.board_queries import (
    RECENT,
    Place,
    Selection,
    Sort,
    cards_and_figures,
    column_cards,
    figures,
    get_card,
    norm_limits,
    selected,
)
from pbxcrm.deals.card_queries import BoardCard
from pbxcrm.deals.fields import SHARED_TEXTS
from pbxcrm.deals.filters import LAMPS, DealFilter
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.queries import Funnel
from pbxcrm.deals.tag_queries import list_tags
from pbxcrm.distribution.queries import any_rules
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.text_match import is_searchable
from pbxcrm.views.queries import default_of, of_viewer
from web.cursors import next_of_ranked, read_ranked
from web.deal_cards import drawn
from web.deal_filters import LAMP_WORDS, TABLE, address_of, asked_filter, asked_pairs, chips, custom_inputs
from web.filter_forms import applied
from web.forms import Form
from web.pages.common import address, asked_number, show, whose_rows
from web.parts import now, parts, viewer
from web.untrusted import ascii_address

FIRST = 8  # cards loaded per column at first: about a screen
CARDS = 30  # cards loaded at once while scrolling


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board that is asked for. ``pipelines``: all of them; ``elsewhere``: the others, with the stages a deal may be moved to."""

    funnel: Funnel
    pipeline: Pipeline
    stages: list[Stage]
    pipelines: list[Pipeline]
    elsewhere: list[tuple[Pipeline, list[Stage]]]
    asked: DealFilter
    sort: Sort


async def board(request: Request) -> Response:
    """``GET /board?pipeline=&sort=…``: the address holds the filters (``deals/filter_rules.py``)."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        views = await of_viewer(session, who)
        if not request.url.query and (first := default_of(views)) is not None:
            return RedirectResponse(ascii_address(address_of(first)), HTTPStatus.SEE_OTHER)
        shown = await _shown(session, request)
        selection = await _selection(session, request, shown)
        limits = await _limits(session, request, shown)
        columns, heads = await cards_and_figures(session, who, shown.stages, selection, shown.sort, limits, cards=FIRST)
        people = await whose_rows(session, who)
        by_rules = await any_rules(session)
        listening = await rules_listening(session, now(request))
        active = await chips(session, request)
        directory = await load_directory(session)
    may_move = can(who, Permission.DEALS_EDIT)
    return show(
        request,
        "deals/board.html",
        shown=shown,
        columns={
            stage_id: drawn(parts(request).templates, cards, shown.funnel, directory, may_move=may_move)
            for stage_id, cards in columns.items()
        },
        heads=heads,
        views=views,
        view_id=asked_number(request, "view") or 0,
        address_of=address_of,
        recent=RECENT if selection.recent else 0,
        people=people,
        by_rules=by_rules,
        listening=listening,
        may_move=may_move,
        chips=active,
        is_narrowed=bool(asked_pairs(request)),
        only_open=bool(shown.asked.text) and not is_searchable(shown.asked.text),
        whose_id=shown.asked.whose,
        next_of={stage_id: _next(cards[-1]) for stage_id, cards in columns.items() if cards},
        cards_at_once=FIRST,
        no_form=Form(),
    )


async def column(request: Request) -> Response:
    """``GET /board/columns/{stage_id}?cursor=``: the next cards of a column, and the element that loads the ones after them."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        stage = next((found for found in shown.stages if found.id == request.path_params["stage_id"]), None)
        if stage is None or stage.id is None:
            raise NotFound("deals.no_stage", "There is no such stage any more.")
        place = read_ranked(request.query_params.get("cursor", ""))
        cards = await column_cards(
            session,
            who,
            stage,
            await _selection(session, request, shown),
            shown.sort,
            after=Place(*place) if place is not None else None,
            limit=CARDS + 1,
        )
        people = await load_directory(session)
    may_move = can(who, Permission.DEALS_EDIT)
    return show(
        request,
        "deals/_cards.html",
        stage=stage,
        cards=drawn(parts(request).templates, cards[:CARDS], shown.funnel, people, may_move=may_move),
        more=_next(cards[CARDS - 1]) if len(cards) > CARDS else "",
    )


async def card(request: Request) -> Response:
    """``GET /board/cards/{deal_id}``: one card as this board shows it; 204 if it is not on this board (any more)."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        found = await get_card(session, who, shown.pipeline.id or 0, request.path_params["deal_id"], shown.asked)
        people = await load_directory(session)
    if found is None:
        return Response(status_code=204)
    cards = drawn(parts(request).templates, [found], shown.funnel, people, may_move=can(who, Permission.DEALS_EDIT))
    return show(request, "deals/_cards.html", cards=cards, more="")


async def heads(request: Request) -> Response:
    """``GET /board/heads``: the heads of all columns, with current figures."""
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        limits = await _limits(session, request, shown)
        selection = await _selection(session, request, shown)
        found = await figures(session, viewer(request), shown.stages, selection, limits)
    return show(request, "deals/_heads.html", stages=shown.stages, heads=found)


async def filters(request: Request) -> Response:
    """``GET /board/filters``: the form of all filters, filled in with those of the address; with ``apply`` the way to what it asks for."""
    who, path = viewer(request), "/deals" if request.query_params.get("show") == TABLE else "/board"
    async with parts(request).db.read() as session:
        answer, wrong = await applied(request, path, asked_filter(session, request))
        if answer is not None:
            return answer
        people = await whose_rows(session, who)
        directory = await load_directory(session)
        shared_texts = [(each, await queries.texts_of_open_deals(session, who, each.key)) for each in SHARED_TEXTS]
        tags = await list_tags(session)
        custom = await custom_inputs(session, request)
    return show(
        request,
        "deals/_filters.html",
        status=422 if wrong else 200,
        asked=dict(asked_pairs(request)),
        people=people,
        teams=sorted(directory.teams.values(), key=lambda team: team.name) if sees_team(who) else [],
        lamps=[(level, LAMP_WORDS[level]) for level in LAMPS],
        shared_texts=shared_texts,
        tags=tags,
        custom=custom,
        here_path=path,
        cleared=address(request, path, apply=None, **{name: None for name, _ in asked_pairs(request)}),
        kept={name: value for name, value in request.query_params.items() if name in {"pipeline", "sort", "q", "show"}},
        wrong=wrong,
    )


def _next(last: BoardCard) -> str:
    return next_of_ranked(last.rank, last.since, last.id)


async def _shown(session: AsyncSession, request: Request) -> BoardView:
    funnel = await queries.load_funnel(session)
    pipelines = funnel.boards()
    if not pipelines:
        raise NotFound("deals.no_pipeline", "There is no pipeline yet. Ask an administrator.")
    wanted = asked_number(request, "pipeline")
    default = next((found for found in pipelines if found[0].is_default), pipelines[0])
    pipeline, stages = next((found for found in pipelines if found[0].id == wanted), default)
    return BoardView(
        funnel,
        pipeline,
        stages,
        [found for found, _ in pipelines],
        [found for found in pipelines if found[0].id != pipeline.id],
        await asked_filter(session, request),
        _sort(request),
    )


def _sort(request: Request) -> Sort:
    asked = request.query_params.get("sort") or Sort.DATE.value
    if asked not in set(Sort):
        raise Invalid("sort", "deals.no_sort", "Cards are not sorted by “{key}”.", key=asked[:LONGEST_REPEATED])
    return Sort(asked)


async def _selection(session: AsyncSession, request: Request, shown: BoardView) -> Selection:
    return await selected(session, viewer(request), shown.pipeline.id or 0, shown.stages, shown.asked)


async def _limits(session: AsyncSession, request: Request, shown: BoardView) -> dict[int, datetime]:
    calendars = await load_calendars(session, await load_directory(session))
    return norm_limits(shown.stages, calendars.of_user(viewer(request).user_id), now(request))
