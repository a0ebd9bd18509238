"""The filters of deals in the address of a page: reading them, and the chips that show them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import sees_team
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.deals.filter_rules import NOBODY, FilterReader
from pbxcrm.deals.filters import DealFilter
from pbxcrm.deals.list_queries import ListSelection, select_deals
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.conditions import NO, Shape, Vocabulary
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields, load_named, target_of
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.terms import name_of_term, shape_of
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import NotFound
from pbxcrm.views.models import SavedView
from web.filter_forms import APPLY
from web.i18n import N_, here
from web.i18n import gettext as _
from web.parts import now, parts, viewer
from web.untrusted import query_of, whole_number

CUSTOM = "field."  # how the name of a custom field begins
#: The parameters of the pages that are no filters: which board, how it is shown, what is loaded next.
OF_PAGE = frozenset({"pipeline", "view", "sort", "columns", "down", "cursor", "after", "job", "show", "format", APPLY})
#: The lists that have saved views besides the board and the list of deals.
LISTS = {FieldEntity.CONTACT: "/contacts", FieldEntity.COMPANY: "/companies"}
TABLE = "table"  # the value of `show` in the address of a saved view that is the list
LAMP_WORDS = {
    "any": N_("a lamp burns"),
    "first": N_("due now"),
    "second": N_("with the manager"),
    "none": N_("no lamp burns"),
}
STATUS_WORDS = {"open": N_("open deals"), "closed": N_("closed deals"), "won": N_("won"), "lost": N_("lost")}


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter: its name in the address and its text."""

    name: str
    text: str


def asked_pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """The filters in the address, as ``(name, value)``, without empty ones."""
    return tuple((name, value) for name, value in _pairs(request.query_params.multi_items()) if value.strip())


async def asked_filter(session: AsyncSession, request: Request) -> DealFilter:
    """The filter in the address. Raises Invalid for what is no filter or no value of it: never all deals."""
    return (await filter_reader_of(session, request)).read(_pairs(request.query_params.multi_items()))


async def filter_of(session: AsyncSession, request: Request, query: str) -> DealFilter:
    """The filter in the query string of another page of deals. Raises Invalid as ``asked_filter`` does."""
    return (await filter_reader_of(session, request)).read(filters_in(query))


def filters_in(query: str) -> list[tuple[str, str]]:
    """The filters in a query string, without the parameters of the page."""
    return _pairs(parse_qsl(query.removeprefix("?"), keep_blank_values=True))


def _pairs(asked: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in asked if pair[0] not in OF_PAGE]


async def matching(session: AsyncSession, request: Request, query: str) -> ListSelection:
    """The deals of a list whose query string is given."""
    asked = (await filter_reader_of(session, request)).read(filters_in(query))
    wanted = (query_of(f"?{query.removeprefix('?')}").get("pipeline") or [""])[0]
    return await select_deals(session, viewer(request), asked, await asked_pipeline(session, wanted))


async def asked_pipeline(session: AsyncSession, wanted: str) -> int | None:
    """The pipeline of a list; None for all of them. Raises NotFound for one that there is not: never all deals."""
    pipeline_id = whole_number(wanted, LARGEST_ID)
    if wanted and pipeline_id not in (await load_funnel(session)).pipelines:
        raise NotFound("deals.no_pipeline", "There is no such pipeline any more.")
    return pipeline_id


async def filter_reader_of(session: AsyncSession, request: Request) -> FilterReader:
    """The reader of filters for the viewer, with the region of numbers and the clock of the reader."""
    clock = AskedAt(now(request), here().timezone)
    return await filter_reader(session, viewer(request), clock, parts(request).settings.region)


def address_of(view: SavedView) -> str:
    """The board, or a list, as a saved view shows it."""
    entity = FieldEntity(view.entity)
    page = LISTS[entity] if entity in LISTS else "/deals" if ("show", TABLE) in parse_qsl(view.query) else "/board"
    return f"{page}?view={view.id}" + (f"&{view.query}" if view.query else "")


#: The words of a filter, for the name and the value in the address; empty for those that have none of their own.
OwnWords = Callable[[Request, Directory, str, str], str]


@dataclass(frozen=True, slots=True)
class CustomInput:
    """How the form of filters asks for a custom field: a choice among ``options`` (value, text), a range, a part of a text, or, of files,
    whether there are any.

    ``finds``: the id of a field that links to rows. One is chosen by its name; ``options`` are then those that are asked for.
    """

    name: str
    title: str
    shape: Shape
    options: tuple[tuple[str, str], ...] = ()
    finds: int | None = None


async def custom_inputs(
    session: AsyncSession, request: Request, entity: FieldEntity = FieldEntity.DEAL
) -> list[CustomInput]:
    """The custom fields of an entity that may narrow a list, in the order of the settings."""
    definitions = [each for each in (await load_fields(session)).of(entity) if each.filterable]
    asked = {
        each.id: _asked_ids(request, each) for each in definitions if each.kind == ValueKind.LINK and target_of(each)
    }
    customs = [{str(field_id): row_id} for field_id, ids in asked.items() for row_id in ids]
    named = await load_named(session, viewer(request), definitions, customs)
    people = await load_directory(session)
    found = []
    for each in definitions:
        options = [(str(option["id"]), str(option["name"])) for option in each.options]
        if each.kind == ValueKind.YES_NO:
            options = [("1", _("yes")), ("0", _("no"))]
        elif each.kind == ValueKind.PERSON:
            options = sorted(
                ((user.login, user.name) for user in people.users.values() if user.is_active), key=lambda of: of[1]
            )
        elif each.id in asked:
            options = [(str(row_id), named.of(each, row_id) or _("not visible to you")) for row_id in asked[each.id]]
        finds = each.id if each.id in asked else None
        found.append(CustomInput(name_of_term(each), each.name, shape_of(each), tuple(options), finds))
    return found


def _asked_ids(request: Request, definition: FieldDefinition) -> list[int]:
    """The rows that the address asks for as those a field links to."""
    values = [value for name, value in asked_pairs(request) if name == name_of_term(definition)]
    return [row_id for value in values if (row_id := whole_number(value.strip(), LARGEST_ID)) is not None]


async def chips(session: AsyncSession, request: Request) -> list[Chip]:
    """A chip for each active filter, in the order of the address. The text has its own box."""
    terms = (await filter_reader_of(session, request)).terms
    return await chips_of(session, request, terms, FieldEntity.DEAL, _said)


async def chips_of(
    session: AsyncSession, request: Request, terms: Vocabulary, entity: FieldEntity, own_words: OwnWords
) -> list[Chip]:
    """A chip for each active filter of a list; ``own_words``: those of filters that have their own."""
    people = await load_directory(session)
    options = {each.name: dict(each.options) for each in await custom_inputs(session, request, entity)}
    return [
        Chip(name, own_words(request, people, name, value) or said_of_term(terms, options, name, value))
        for name, value in asked_pairs(request)
        if name != "q"
    ]


def _said(request: Request, people: Directory, name: str, value: str) -> str:
    """The words of a filter that has its own; empty for the others."""
    match name:
        case "mine":
            return _("My deals")
        case "who" | "responsible" | "team":
            return said_of_whose(request, people, name, value)
        case "lamp":
            return _(LAMP_WORDS.get(value, value))
        case "status":
            return _(STATUS_WORDS.get(value, value))
        case "no_task":
            return _("no next task")
        case "contact" | "contact_id":
            return _("one client")
        case "company" | "company_id":
            return _("one company")
        case "where":
            return _("a condition")
        case _:
            return _(SAYINGS[name]).format(value=value) if name in SAYINGS else ""


def said_of_whose(request: Request, people: Directory, name: str, value: str) -> str:
    """The words of a filter by person or team."""
    if name == "team":
        return _("team: {name}").format(name=_team(people, value) if sees_team(viewer(request)) else value)
    return _("Nobody's") if value == NOBODY else _person(request, people, value)


_OPS = {
    "min": "{title} ≥ {value}",
    "max": "{title} ≤ {value}",
    "not": "{title} ≠ {value}",
    "begins": N_("{title} begins with {value}"),
    "empty": N_("{title}: empty"),
    "filled": N_("{title}: filled"),
}


def said_of_term(terms: Vocabulary, options: Mapping[str, Mapping[str, str]], name: str, value: str) -> str:
    """A filter in words; ``options``: the words of values by term and value."""
    whole, _dot, suffix = name.rpartition(".")
    term = terms.get(name) or terms.get(whole)
    if term is None:
        return f"{name}: {value}"
    if value.strip().lower() in NO:
        suffix = {"filled": "empty", "empty": "filled"}.get(suffix, suffix)
    said = _OPS.get(suffix, "{title}: {value}") if name not in terms else "{title}: {value}"
    title = term.title if CUSTOM in term.name else _(term.title)
    return _(said).format(title=title, value=options.get(term.name, {}).get(value, value))


SAYINGS = {
    "tag": N_("tag: {value}"),
    "amount.min": N_("amount from {value}"),
    "amount.max": N_("amount up to {value}"),
    "age.min": N_("at least {value} days in the stage"),
    "age.max": N_("at most {value} days in the stage"),
}


def _person(request: Request, people: Directory, value: str) -> str:
    user_id = int(value) if value.isdigit() else 0  # a login, where somebody wrote the address
    asking = viewer(request)
    known = sees_team(asking) or user_id in (asking.user_id, *asking.stands_in_for)
    return (people.name(user_id) if known else "") or _("somebody")


def _team(people: Directory, value: str) -> str:
    found = next((team.name for team in people.teams.values() if str(team.id) == value), None)
    return found or value
