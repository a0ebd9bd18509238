"""The lists of clients and of companies: filters in the address, columns that each person chooses, files of what is filtered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Viewer, sees_team
from pbxcrm.audit.actions import record_export
from pbxcrm.contacts.list_queries import most_sorted, sorted_companies, sorted_contacts, with_text
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.queries import ContactRow, list_companies, list_contacts
from pbxcrm.contacts.terms import asked_order, sort_terms
from pbxcrm.fields.column_actions import chosen_columns
from pbxcrm.fields.conditions import Term, Vocabulary
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet, Named, load_fields, load_named
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.global_search import company_matches
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.listed import Listed, RowPlace
from pbxcrm.views.queries import of_viewer
from web import formats
from web.client_filters import NEAR_TEXTS, read_filters, terms_of_list
from web.column_choice import back_to_list, columns_form, keep_columns
from web.cursors import next_of_sorted, read_sorted
from web.custom_values import show_value
from web.deal_filters import address_of, asked_pairs, chips_of, custom_inputs, said_of_whose
from web.exports import csv_stream, xlsx_stream
from web.filter_forms import applied
from web.forms import read_form
from web.i18n import N_, here, ngettext
from web.i18n import gettext as _
from web.list_columns import ListColumn, custom_columns, those_shown, value_of_field
from web.pages.common import LISTED, address, asked_number, asked_text, show, whose_rows
from web.parts import now, parts, viewer

BATCH = 500  # rows of a file that are read at once
NEAR_CHOICES = (0, 7, 30)  # days
NAME = "name"
Row = ContactRow | Company
Rows = Listed[tuple[Row, RowPlace], RowPlace]


@dataclass(frozen=True, slots=True)
class ClientList:
    """A list: of clients, or of companies. ``load``: the rows that are asked for, behind a place, each with its own."""

    entity: FieldEntity
    path: str
    title: str
    template: str
    built_in: Mapping[str, str]
    first: tuple[str, ...]
    load: Callable[[AsyncSession, Viewer, "ListAsked", RowPlace | None, int], Awaitable[Rows]]
    value: Callable[[ListColumn, Any, Directory], str | datetime]
    row: Callable[[Any], Any]

    def columns(self, fields: FieldSet) -> dict[str, ListColumn]:
        """Every column there is, by key."""
        own = {key: ListColumn(key, _(title)) for key, title in self.built_in.items()}
        return own | custom_columns(fields, self.entity)

    def shown(self, known: Mapping[str, ListColumn], chosen: Sequence[str] | None) -> list[ListColumn]:
        """The chosen columns that still exist, the name first."""
        return those_shown(known, chosen, NAME, self.first)


async def _load_contacts(
    session: AsyncSession, who: Viewer, asked: "ListAsked", after: RowPlace | None, limit: int
) -> Rows:
    if asked.sort is not None:
        found = await sorted_contacts(
            session,
            who,
            asked.conditions,
            asked.sort,
            text=asked.text,
            descending=asked.descending,
            after=after,
            limit=limit,
        )
        return Listed(list(found.rows), found.resume)
    before = after.row_id if after is not None else None
    newest = await list_contacts(session, who, *asked.conditions, text=asked.text, before=before, limit=limit)
    return _by_id([(row, row.contact.id) for row in newest.rows], newest.resume)


async def _load_companies(
    session: AsyncSession, who: Viewer, asked: "ListAsked", after: RowPlace | None, limit: int
) -> Rows:
    conditions = [*asked.conditions, *company_matches(asked.text)]
    if asked.sort is not None:
        found = await sorted_companies(
            session, who, conditions, asked.sort, descending=asked.descending, after=after, limit=limit
        )
        return Listed(list(found.rows), found.resume)
    before = after.row_id if after is not None else None
    newest = await list_companies(session, who, *conditions, before=before, limit=limit)
    return _by_id([(row, row.id) for row in newest.rows], newest.resume)


def _by_id(rows: Sequence[tuple[Row, int | None]], resume: int | None) -> Rows:
    """The newest first: the place of a row is its id."""
    return Listed(
        [(row, RowPlace(None, row_id or 0)) for row, row_id in rows],
        RowPlace(None, resume) if resume is not None else None,
    )


def _of_contact(column: ListColumn, row: ContactRow, people: Directory) -> str | datetime:
    contact = row.contact
    values: dict[str, str | datetime] = {
        NAME: contact.name,
        "company": row.company.name if row.company else "",
        "numbers": ", ".join(phone.written for phone in row.phones),
        "emails": ", ".join(email.address for email in row.emails),
        "responsible": people.name(contact.responsible_id) or "",
        "birthday": formats.birthday(contact.birth_year, contact.birth_day),
        "note": contact.note,
        "created_at": formats.in_file(contact.created_at),
    }
    return values[column.key]


def _of_company(column: ListColumn, company: Company, people: Directory) -> str | datetime:
    values: dict[str, str | datetime] = {
        NAME: company.name,
        "responsible": people.name(company.responsible_id) or "",
        "note": company.note,
        "created_at": formats.in_file(company.created_at),
    }
    return values[column.key]


CLIENTS = ClientList(
    FieldEntity.CONTACT,
    "/contacts",
    N_("Clients"),
    "contacts/list.html",
    {
        NAME: N_("Name"), "company": N_("Company"), "numbers": N_("Numbers"), "emails": N_("E-mail"), "responsible": N_("Responsible"),
        "birthday": N_("Birthday"), "note": N_("Note"), "created_at": N_("Since"),
    },
    (NAME, "company", "numbers", "responsible", "created_at"),
    _load_contacts,
    _of_contact,
    lambda row: row.contact,
)  # fmt: skip
COMPANIES = ClientList(
    FieldEntity.COMPANY,
    "/companies",
    N_("Companies"),
    "contacts/companies.html",
    {NAME: N_("Company"), "responsible": N_("Responsible"), "note": N_("Note"), "created_at": N_("Since")},
    (NAME, "responsible", "created_at"),
    _load_companies,
    _of_company,
    lambda row: row,
)


def _list_of(request: Request) -> ClientList:
    return COMPANIES if request.url.path.startswith(COMPANIES.path) else CLIENTS


@dataclass(frozen=True, slots=True)
class ListAsked:
    """What the address asks for."""

    of: ClientList
    terms: Vocabulary
    conditions: list[ColumnElement[bool]]
    text: str
    known: dict[str, ListColumn]
    columns: list[ListColumn]
    near: int | None  # days until a birthday
    sort: Term | None = None  # None: the newest first
    descending: bool = False
    sorted_by: str = ""  # as in the address


async def listed(request: Request) -> Response:
    """``GET /contacts?q=&birthday=&sort=&cursor=&format=csv|xlsx`` and ``GET /companies?…``, with filters by terms."""
    who, of = viewer(request), _list_of(request)
    if request.query_params.get("format") in {"csv", "xlsx"}:
        return await _file(request)
    async with parts(request).db.read() as session:
        asked = await _asked(session, request)
        after = read_sorted(request.query_params.get("cursor", ""), asked.sort)
        found = await of.load(session, who, asked, after, LISTED + 1)
        rows = [row for row, _place in found.rows[:LISTED]]
        people = await load_directory(session)
        named = await _named(session, who, asked, rows)
        more = found.rows[LISTED - 1][1] if len(found.rows) > LISTED else found.resume
        context: dict[str, Any] = {
            "columns": asked.columns,
            "rows": rows,
            "sorted_by": asked.sorted_by,
            "more": next_of_sorted(more.value, more.row_id) if more is not None else "",
            "searched_on": found.resume is not None,
            "text": asked.text,
            "people": people,
            "custom": lambda column, row: show_value(
                column.definition, of.row(row).custom.get(str(column.definition.id)), named
            ),
        }
        if after is not None:
            return show(request, f"contacts/_{of.entity.value}_rows.html", **context)
        active = await chips_of(session, request, asked.terms, of.entity, _said)
        views = await of_viewer(session, who, of.entity)
        newest_sorted = await _most_sorted(session, who, asked)
    return show(
        request,
        of.template,
        fragment=f"contacts/_{of.entity.value}_rows.html",
        **context,
        own=of.path,
        chips=active,
        is_narrowed=bool(asked_pairs(request)),
        near=asked.near,
        near_choices=NEAR_CHOICES,
        views=views,
        view_id=asked_number(request, "view") or 0,
        address_of=address_of,
        most_sorted=newest_sorted,
    )


async def filters(request: Request) -> Response:
    """``GET /contacts/filters``, ``GET /companies/filters``: the form of all filters, as ``GET /board/filters``."""
    who, of = viewer(request), _list_of(request)
    async with parts(request).db.read() as session:
        answer, wrong = await applied(request, of.path, _asked(session, request))
        if answer is not None:
            return answer
        people = await whose_rows(session, who)
        directory = await load_directory(session)
        custom = await custom_inputs(session, request, of.entity)
    asked = dict(asked_pairs(request))
    return show(
        request,
        "contacts/_filters.html",
        status=422 if wrong else 200,
        asked=asked,
        people=people,
        teams=sorted(directory.teams.values(), key=lambda team: team.name) if sees_team(who) else [],
        custom=custom,
        here_path=of.path,
        cleared=address(request, of.path, apply=None, **dict.fromkeys(asked)),
        wrong=wrong,
        kept={name: value for name, value in request.query_params.items() if name in {"q", "birthday", "sort"}},
    )


async def columns(request: Request) -> Response:
    """``GET /contacts/columns``, ``GET /companies/columns``: the form that chooses the columns."""
    of = _list_of(request)
    async with parts(request).db.read() as session:
        known = of.columns(await load_fields(session))
        chosen = of.shown(known, await chosen_columns(session, viewer(request), of.entity))
    return columns_form(request, of.path, known, chosen)


async def save_columns(request: Request) -> Response:
    """``POST`` of the same: ``column`` for each, in order; ``as_first`` for those of the beginning."""
    form, of = await read_form(request), _list_of(request)
    async with parts(request).db.write() as session:
        await keep_columns(session, request, form, of.entity, of.columns(await load_fields(session)))
    return back_to_list(request, of.path, form)


async def _asked(session: AsyncSession, request: Request) -> ListAsked:
    of, fields = _list_of(request), await load_fields(session)
    terms = await terms_of_list(session, parts(request).settings.region, of.entity)
    clock = AskedAt(now(request), here().timezone)
    conditions, near = read_filters(viewer(request), of.entity, terms, list(request.query_params.multi_items()), clock)
    orders = sort_terms(of.entity, terms)
    known = {key: replace(column, sort=key if key in orders else "") for key, column in of.columns(fields).items()}
    shown = of.shown(known, await chosen_columns(session, viewer(request), of.entity))
    by = request.query_params.get("sort", "")
    sort = asked_order(orders, by) if by else None
    text = asked_text(request)
    return ListAsked(of, terms, conditions, text, known, shown, near, sort, by.startswith("-"), by)


async def _most_sorted(session: AsyncSession, who: Viewer, asked: ListAsked) -> int:
    if asked.sort is None:
        return 0
    if asked.of is COMPANIES:
        return await most_sorted(session, who, Company, [*asked.conditions, *company_matches(asked.text)])
    return await most_sorted(session, who, Contact, await with_text(session, asked.conditions, asked.text))


def _said(request: Request, people: Directory, name: str, value: str) -> str:
    """The words of a filter that has its own; empty for the others."""
    match name:
        case "mine":
            return _("Mine")
        case "who" | "responsible" | "team":
            return said_of_whose(request, people, name, value)
        case "company":
            return _("one company")
        case "birthday" if value in NEAR_TEXTS:
            days = int(value)
            near = (
                _("today") if days == 0 else ngettext("within %(num)d day", "within %(num)d days", days) % {"num": days}
            )
            return f"{_('Birthday')}: {near}"
        case _:
            return ""


async def _named(session: AsyncSession, who: Viewer, asked: ListAsked, rows: Sequence[Row]) -> Named:
    definitions = [column.definition for column in asked.columns if column.definition is not None]
    return await load_named(session, who, definitions, [asked.of.row(row).custom for row in rows])


async def _file(request: Request) -> Response:
    """All that is filtered, in the order of the page while all can be sorted, else the newest first. Streamed batch by batch."""
    of, kind = _list_of(request), request.query_params["format"]
    async with parts(request).db.write() as session:
        asked = await _asked(session, request)
        if await _most_sorted(session, viewer(request), asked):
            asked = replace(asked, sort=None)  # a file holds everything, the newest first
        record_export(session, now(request), viewer(request), of.entity.value, request.url.query)
    make = csv_stream if kind == "csv" else xlsx_stream
    return await make(_(of.title), [column.title for column in asked.columns], _batches(request, asked))


async def _batches(request: Request, asked: ListAsked) -> AsyncIterator[list[list[Any]]]:
    of, who = asked.of, viewer(request)
    after: RowPlace | None = None
    while True:
        async with parts(request).db.read() as session:
            found = await of.load(session, who, asked, after, BATCH)
            rows = [row for row, _place in found.rows]
            people = await load_directory(session)
            named = await _named(session, who, asked, rows)
        yield [
            [
                value_of_field(column.definition, of.row(row).custom, named)
                if column.definition is not None
                else of.value(column, row, people)
                for column in asked.columns
            ]
            for row in rows
        ]
        after = found.rows[-1][1] if len(rows) == BATCH else found.resume
        if after is None:
            return
        await asyncio.sleep(0)  # others are served between two batches
