"""The filters of deals in the address of a page: reading them, and the chips that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import sees_others
from pbxcrm.deals.filter_rules import NOBODY, READERS, Reading, read_filter
from pbxcrm.deals.filters import DealFilter
from pbxcrm.deals.models import Deal, DealView
from pbxcrm.fields.conditions import AskedAt, Shape, Term, from_query, to_sql
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Checking
from pbxcrm.fields.terms import custom_terms, name_of_term, shape_of
from pbxcrm.people.directory import Directory, load_directory
from web.i18n import N_, here
from web.i18n import gettext as _
from web.parts import now, parts, viewer

CUSTOM = "field."  # how the name of a custom field begins
#: The parameters of the pages that are no filters: which board, how it is shown, what is loaded next.
OF_PAGE = frozenset({"pipeline", "view", "sort", "columns", "down", "cursor", "after", "job"})
LAMP_WORDS = {
    "any": N_("a lamp burns"),
    "first": N_("due now"),
    "second": N_("with the manager"),
    "none": N_("no lamp burns"),
}
STATUS_WORDS = {"open": N_("open"), "closed": N_("closed"), "won": N_("won"), "lost": N_("lost")}


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter: its name in the address and its text."""

    name: str
    text: str


def asked_pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """The filters in the address, as ``(name, value)``, without empty ones."""
    return tuple(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in OF_PAGE and (value.strip() or name not in READERS)
    )


async def asked_filter(session: AsyncSession, request: Request) -> DealFilter:
    """The filter in the address. Raises Invalid for what is no filter or no value of it: never all deals."""
    return await _read(session, request, asked_pairs(request))


async def filter_of(session: AsyncSession, request: Request, query: str) -> DealFilter:
    """The filter in the query string of another page of deals. Raises Invalid as ``asked_filter`` does."""
    asked = tuple((name, value) for name, value in parse_qsl(query.removeprefix("?")) if name not in OF_PAGE)
    return await _read(session, request, asked)


async def _read(session: AsyncSession, request: Request, asked: Sequence[tuple[str, str]]) -> DealFilter:
    own = [pair for pair in asked if not pair[0].startswith(CUSTOM)]
    found = read_filter(own, Reading(viewer(request).user_id, now(request)))
    custom = [pair for pair in asked if pair[0].startswith(CUSTOM)]
    if not custom:
        return found
    terms = await _custom_terms(session, request)
    condition = to_sql(from_query(custom, terms), AskedAt(now(request), here().timezone))
    return replace(found, more=(*found.more, condition))


async def _custom_terms(session: AsyncSession, request: Request) -> dict[str, Term]:
    """The custom fields of deals that have an index, by name (``field.KEY``)."""
    checking = Checking(parts(request).settings.region, await load_directory(session))
    return custom_terms(await load_fields(session), FieldEntity.DEAL, Deal, checking)


def address_of(view: DealView) -> str:
    """The board as a saved view shows it."""
    return f"/board?view={view.id}" + (f"&{view.query}" if view.query else "")


@dataclass(frozen=True, slots=True)
class CustomInput:
    """How the form of filters asks for a custom field: a choice among ``options`` (value, text), a range, or a part of a text."""

    name: str
    title: str
    shape: Shape
    options: tuple[tuple[str, str], ...] = ()


async def custom_inputs(session: AsyncSession) -> list[CustomInput]:
    """The custom fields of deals that may narrow a list, in the order of the settings."""
    return [
        CustomInput(
            name_of_term(each),
            each.name,
            shape_of(each),
            tuple((str(option["id"]), str(option["name"])) for option in each.options),
        )
        for each in (await load_fields(session)).of(FieldEntity.DEAL)
        if each.filterable
    ]


async def chips(session: AsyncSession, request: Request) -> list[Chip]:
    """A chip for each active filter, in the order of the address. The text has its own box."""
    people, inputs = await load_directory(session), {each.name: each for each in await custom_inputs(session)}
    named = [
        (name, _of_field(inputs, name, value) if name.startswith(CUSTOM) else _said(request, people, name, value))
        for name, value in asked_pairs(request)
    ]
    return [Chip(name, text) for name, text in named if text]


def _said(request: Request, people: Directory, name: str, value: str) -> str:
    who = viewer(request)
    match name:
        case "mine":
            return _("My deals")
        case "who":
            return _("Nobody's") if value == NOBODY else _person(request, people, value)
        case "team":
            return _("team: {name}").format(name=_team(people, value) if sees_others(who) else value)
        case "lamp":
            return _(LAMP_WORDS.get(value, value))
        case "status":
            return _(STATUS_WORDS.get(value, value))
        case "no_task":
            return _("no next task")
        case "q" | "contact" | "company" | "stage":
            return ""
        case _:
            return _(SAYINGS[name]).format(value=value)


def _of_field(inputs: Mapping[str, CustomInput], name: str, value: str) -> str:
    field = inputs.get(name) or inputs.get(name.rpartition(".")[0])
    if field is None:
        return f"{name}: {value}"
    said = {".min": "{title} ≥ {value}", ".max": "{title} ≤ {value}"}.get(name[-4:], "{title}: {value}")
    return said.format(title=field.title, value=dict(field.options).get(value, value))


SAYINGS = {
    "source": N_("source: {value}"),
    "tag": N_("tag: {value}"),
    "amount.min": N_("amount from {value}"),
    "amount.max": N_("amount up to {value}"),
    "age.min": N_("at least {value} days in the stage"),
    "age.max": N_("at most {value} days in the stage"),
}


def _person(request: Request, people: Directory, value: str) -> str:
    user_id = int(value)
    known = sees_others(viewer(request)) or user_id == viewer(request).user_id
    return (people.name(user_id) if known else "") or _("somebody")


def _team(people: Directory, value: str) -> str:
    found = next((team.name for team in people.teams.values() if str(team.id) == value), None)
    return found or value
