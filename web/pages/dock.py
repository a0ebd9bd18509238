"""The dock: call cards, pushed to every tab of whoever's phone rings, and what is done on them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.contacts import actions as contacts
from pbxcrm.contacts.models import NumberKind
from pbxcrm.people.queries import Directory, load_directory
from pbxcrm.screenpop import actions
from pbxcrm.screenpop.cards import Card
from pbxcrm.screenpop.models import Disposition
from pbxcrm.screenpop.queries import access_own_call, load_docks
from pbxcrm.screenpop.reach import Reach, reach_of
from pbxcrm.screenpop.rules import CardState
from web import words
from web.answers import toast
from web.forms import read_form
from web.i18n import Here, Language, speaking
from web.i18n import gettext as _
from web.live import Pusher
from web.parts import Parts, now, parts, viewer
from web.templating import render

NEXT_IN = {"10m": timedelta(minutes=10), "2h": timedelta(hours=2)}
NEXT_DAYS = {"tomorrow": 1, "3d": 3}


@dataclass(frozen=True, slots=True)
class Colleague:
    name: str
    extension: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What one person's dock shows: calls that go on, then those whose outcome is owed, newest on top in each."""

    living: list[Card]
    finished: list[Card]
    older: int  # finished calls that have no card yet
    reach: Reach
    colleagues: list[Colleague]  # to whom a call may be given


async def dock(request: Request) -> Response:
    """The cards as they stand now; the page asks for them when the stream cannot tell."""
    person = viewer(request)
    shown = await _shown(parts(request), [person], now(request))
    return render(request, "dock/_cards.html", dock=shown[person.user_id], words=words)


def pusher(of: Parts) -> Pusher:
    """Draws docks for the live stream: what they show is fetched for all who wait, each is drawn in its own language."""
    timezone = ZoneInfo(of.settings.timezone)

    async def push(people: Sequence[Viewer]) -> AsyncIterator[tuple[int, str]]:
        at = of.clock()
        shown = await _shown(of, people, at)
        for person in people:
            language = Language.of(person.language) or Language.of(of.settings.language) or Language.EN
            with speaking(Here(language, timezone, at, of.settings.currency)):
                html = of.templates.text("dock/_cards.html", dock=shown[person.user_id], words=words, viewer=person)
            yield person.user_id, html

    return push


async def save_note(request: Request) -> Response:
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await actions.save_note(session, viewer(request), _call_id(request), form.get("text"), now(request))
    return Response(status_code=204)


async def choose_contact(request: Request) -> Response:
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await actions.choose_contact(
            session, viewer(request), _call_id(request), form.number("contact_id") or 0, now(request)
        )
    return await dock(request)


async def attach(request: Request) -> Response:
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await actions.attach_deal(
            session, viewer(request), _call_id(request), form.number("deal_id") or 0, now(request)
        )
    return await dock(request)


async def finish(request: Request) -> Response:
    """Outcome and, where there is one, the next step; the second of the two clicks."""
    form = await read_form(request)
    call_id, at = _call_id(request), now(request)
    async with parts(request).db.write() as session:
        await actions.finish(
            session,
            viewer(request),
            call_id,
            form["disposition"],
            at,
            next_title=form["next_title"] or _("Call again"),
            next_at=form.moment("next_at") or await _next_at(request, form["next"], at),
            lost_reason=words.LOST_NOT_INTERESTED,
        )
    return toast(request, _("The call is finished."), undo=f"/dock/{call_id}/unhide")


async def hide(request: Request) -> Response:
    call_id = _call_id(request)
    async with parts(request).db.write() as session:
        await actions.hide(session, viewer(request), call_id, now(request))
    return toast(request, _("The card is put away."), undo=f"/dock/{call_id}/unhide")


async def unhide(request: Request) -> Response:
    async with parts(request).db.write() as session:
        await actions.unhide(session, viewer(request), _call_id(request), now(request))
    return Response(status_code=204)


async def not_a_client(request: Request) -> Response:
    """The number goes on the list of those that are not clients, and the card away."""
    call_id, at = _call_id(request), now(request)
    async with parts(request).db.write() as session:
        call = await access_own_call(session, viewer(request), call_id)
        region = parts(request).settings.region_of(call.pbx)
        await contacts.mark_number(
            session, viewer(request), call.client_number or "", NumberKind.SPAM, region=region, now=at
        )
        await actions.finish(session, viewer(request), call_id, Disposition.WRONG_NUMBER, at)
    return toast(request, _("The number is on the list of those that are not clients."))


async def _shown(of: Parts, people: Sequence[Viewer], at: datetime) -> dict[int, Shown]:
    """What is on each person's dock, by user id."""
    shown = {person.user_id: Shown([], [], 0, Reach(), []) for person in people}
    async with of.db.read() as session:
        docks = await load_docks(session, [person for person in people if can(person, Permission.PHONE_USE)], at)
        everybody = await load_directory(session) if any(dock.cards for dock in docks.values()) else None
        for person in people:
            of_theirs = docks.get(person.user_id)
            if everybody and of_theirs and (cards := of_theirs.cards):
                talks = any(card.state is CardState.TALKING for card in cards)
                shown[person.user_id] = Shown(
                    [card for card in cards if card.state is not CardState.AFTER],
                    [card for card in cards if card.state is CardState.AFTER],
                    of_theirs.older,
                    reach_of(person, cards, everybody),
                    _colleagues(everybody, person) if talks else [],
                )
    return shown


def _colleagues(everybody: Directory, person: Viewer) -> list[Colleague]:
    return [
        Colleague(everybody.name(mate), extension)
        for mate in sorted(everybody.team_of(person.user_id) - {person.user_id})
        for extension in everybody.extensions.get(mate, [])[:1]
    ]


async def _next_at(request: Request, choice: str, at: datetime) -> datetime | None:
    """When the quick choices are due: minutes and hours from now, or the beginning of a working day."""
    if choice in NEXT_IN:
        return at + NEXT_IN[choice]
    if choice not in NEXT_DAYS:
        return None
    async with parts(request).db.read() as session:
        calendars = await load_calendars(session, await load_directory(session))
    working = calendars.of_user(viewer(request).user_id)
    return working.next_morning(at + timedelta(days=NEXT_DAYS[choice] - 1))


def _call_id(request: Request) -> int:
    found: int = request.path_params["call_id"]
    return found
