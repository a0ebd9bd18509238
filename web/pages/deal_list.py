"""The deals of the board as a table: columns that each person chooses, sorting, and files of exactly what is filtered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, can
from pbxcrm.audit.actions import record_export
from pbxcrm.automation.mass_changes import rules_listening
from pbxcrm.deals.board_queries import MOST_FOUND, ColumnFigures
from pbxcrm.deals.filters import DealFilter
from pbxcrm.deals.list_queries import (
    LOOKED_THROUGH,
    ListSelection,
    ListSort,
    list_figures,
    page_of_deals,
    select_deals,
)
from pbxcrm.deals.models import Pipeline
from pbxcrm.deals.queries import DealRow, list_pipelines
from pbxcrm.distribution.queries import any_rules
from pbxcrm.fields.column_actions import chosen_columns
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import Named, load_fields, load_named
from pbxcrm.fields.terms import MADE
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.listed import MOST_SORTED, RowPlace
from pbxcrm.shared.text_match import is_searchable
from pbxcrm.views.queries import of_viewer
from web.column_choice import back_to_list, columns_form, keep_columns
from web.cursors import next_of_sorted, read_sorted
from web.custom_values import show_value
from web.deal_columns import all_columns, shown_columns, value
from web.deal_filters import address_of, asked_pairs, asked_pipeline, chips, filter_reader_of, filters_in
from web.exports import MOST_OF_XLSX, csv_stream, xlsx_stream
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.list_columns import ListColumn
from web.pages.common import LISTED, asked_number, show, whose_rows
from web.parts import now, parts, viewer

BATCH = 500  # rows of a file that are read at once


@dataclass(frozen=True, slots=True)
class ListView:
    """The list that is asked for. ``pipeline``: None for all of them."""

    asked: DealFilter
    among: ListSelection
    pipelines: list[Pipeline]
    pipeline: Pipeline | None
    known: dict[str, ListColumn]
    columns: list[ListColumn]
    sort: ListSort
    sorted_by: str  # as in the address


async def deals(request: Request) -> Response:
    """``GET /deals?pipeline=&sort=&cursor=&format=csv|xlsx``, with the filters of the board."""
    who = viewer(request)
    if request.query_params.get("format") in {"csv", "xlsx"}:
        return await _file(request)
    async with parts(request).db.read() as session:
        shown = await _shown(session, request)
        after = read_sorted(request.query_params.get("cursor", ""), shown.sort.term)
        found = await page_of_deals(session, shown.among, shown.sort, after=after, limit=LISTED + 1)
        rows = found.rows[:LISTED]
        behind = rows[-1][1] if len(found.rows) > LISTED else found.resume
        named = await _named(session, request, shown.columns, [row for row, _ in rows])
        context: dict[str, Any] = {
            "shown": shown,
            "rows": [row for row, _place in rows],
            "more": next_of_sorted(behind.value, behind.row_id) if behind is not None else "",
            "searched_on": found.resume is not None,
            "custom": lambda column, row: show_value(
                column.definition, row.deal.custom.get(str(column.definition.id)), named
            ),
            "may_move": can(who, Permission.DEALS_EDIT),
        }
        if after is not None:
            return show(request, "deals/_table_rows.html", **context)
        figures = await list_figures(session, shown.among)
        people = await whose_rows(session, who)
        by_rules = await any_rules(session)
        listening = await rules_listening(session, now(request))
        views = await of_viewer(session, who)
        active = await chips(session, request)
        stages = await list_pipelines(session)
    return show(
        request,
        "deals/table.html",
        **context,
        figures=figures,
        people=people,
        by_rules=by_rules,
        listening=listening,
        views=views,
        view_id=asked_number(request, "view") or 0,
        address_of=address_of,
        chips=active,
        is_narrowed=bool(asked_pairs(request)),
        only_open=bool(shown.asked.text) and not is_searchable(shown.asked.text),
        whose_id=shown.asked.whose,
        move_to=sorted(stages, key=lambda each: shown.pipeline is not None and each[0].id != shown.pipeline.id),
        most_sorted=_most_sorted(shown, figures),
        most_of_xlsx=MOST_OF_XLSX,
        no_form=Form(),
    )


async def columns(request: Request) -> Response:
    """``GET /deals/columns``: the form that chooses the columns."""
    async with parts(request).db.read() as session:
        known = all_columns(await load_fields(session), (await filter_reader_of(session, request)).terms)
        chosen = shown_columns(known, await chosen_columns(session, viewer(request), FieldEntity.DEAL))
    return columns_form(request, "/deals", known, chosen)


async def save_columns(request: Request) -> Response:
    """``POST /deals/columns``: ``column`` for each, in order; ``as_first`` for those of the beginning."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        known = all_columns(await load_fields(session), (await filter_reader_of(session, request)).terms)
        await keep_columns(session, request, form, FieldEntity.DEAL, known)
    return back_to_list(request, "/deals", form)


async def _shown(session: AsyncSession, request: Request) -> ListView:
    reader = await filter_reader_of(session, request)
    asked = reader.read(filters_in(request.url.query))
    pipelines = [pipeline for pipeline, _stages in await list_pipelines(session)]
    wanted = await asked_pipeline(session, request.query_params.get("pipeline", ""))
    pipeline = next((each for each in pipelines if each.id == wanted), None)
    known = all_columns(await load_fields(session), reader.terms)
    by = request.query_params.get("sort", "")
    column = known.get(by.removeprefix("-"))
    if by and (column is None or not column.sort):
        raise Invalid("sort", "deals.no_sort", "Cards are not sorted by “{key}”.", key=by[:LONGEST_REPEATED])
    among = await select_deals(session, viewer(request), asked, pipeline.id if pipeline else None)
    sort = ListSort(reader.terms[column.sort], by.startswith("-")) if column is not None else ListSort()
    if sort.term is None and MADE in asked.asks and not (among.tested or among.ways):
        sort = ListSort(reader.terms[MADE])  # its index finds them in this order, and by id almost the same
    return ListView(
        asked,
        among,
        pipelines,
        pipeline,
        known,
        shown_columns(known, await chosen_columns(session, viewer(request), FieldEntity.DEAL)),
        sort,
        by,
    )


def _most_sorted(shown: ListView, figures: ColumnFigures) -> int:
    """How many of the newest deals are sorted; 0 if all are."""
    if shown.sort.term is None or not figures.has_more:
        return 0
    if shown.among.ways or shown.among.tested:
        return MOST_FOUND if shown.among.ways else LOOKED_THROUGH
    return MOST_SORTED if shown.sort.is_capped else 0


async def _named(session: AsyncSession, request: Request, shown: list[ListColumn], rows: list[DealRow]) -> Named:
    definitions = [column.definition for column in shown if column.definition is not None]
    return await load_named(session, viewer(request), definitions, [row.deal.custom for row in rows])


async def _file(request: Request) -> Response:
    """All that is filtered, in the order of the page while it can be sorted, else the newest first. Streamed batch by batch."""
    kind = request.query_params["format"]
    async with parts(request).db.write() as session:
        shown = await _shown(session, request)
        figures = await list_figures(session, shown.among)
        record_export(session, now(request), viewer(request), FieldEntity.DEAL.value, request.url.query)
    sort = ListSort() if _most_sorted(shown, figures) else shown.sort
    make = csv_stream if kind == "csv" else xlsx_stream
    return await make(_("Deals"), [column.title for column in shown.columns], _batches(request, shown, sort))


async def _batches(request: Request, shown: ListView, sort: ListSort) -> AsyncIterator[list[list[Any]]]:
    after: RowPlace | None = None
    while True:
        async with parts(request).db.read() as session:
            found = await page_of_deals(session, shown.among, sort, after=after, limit=BATCH)
            rows = found.rows
            named = await _named(session, request, shown.columns, [row for row, _ in rows])
        yield [[value(column, row, named) for column in shown.columns] for row, _ in rows]
        after = rows[-1][1] if len(rows) == BATCH else found.resume
        if after is None:
            return
        await asyncio.sleep(0)  # others are served between two batches
