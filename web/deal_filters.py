"""The filters of deals in the address of a page: reading them, and the chips that show them."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import sees_others
from pbxcrm.deals.filter_rules import NOBODY, READERS, Reading, read_filter
from pbxcrm.deals.filters import DealFilter
from pbxcrm.people.directory import Directory, load_directory
from web.i18n import N_
from web.i18n import gettext as _
from web.parts import now, viewer

#: The parameters of the pages that are no filters: which board, how it is shown, what is loaded next.
OF_PAGE = frozenset({"pipeline", "view", "sort", "columns", "cursor", "after", "job"})
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


def asked_filter(request: Request) -> DealFilter:
    """The filter in the address. Raises Invalid for what is no filter or no value of it: never all deals."""
    return read_filter(asked_pairs(request), Reading(viewer(request).user_id, now(request)))


def filter_of(request: Request, query: str) -> DealFilter:
    """The filter in the query string of another page of deals. Raises Invalid as ``asked_filter`` does."""
    asked = [(name, value) for name, value in parse_qsl(query.removeprefix("?")) if name not in OF_PAGE]
    return read_filter(asked, Reading(viewer(request).user_id, now(request)))


async def chips(session: AsyncSession, request: Request) -> list[Chip]:
    """A chip for each active filter, in the order of the address. The text has its own box."""
    people = await load_directory(session)
    named = [(name, _said(request, people, name, value)) for name, value in asked_pairs(request)]
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
