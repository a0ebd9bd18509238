"""The dock: call cards, pushed to every tab of whoever's phone rings, and what is done on them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.contacts import actions as contacts
from pbxcrm.contacts.models import NumberKind
from pbxcrm.people.queries import load_directory
from pbxcrm.screenpop import actions
from pbxcrm.screenpop.models import Disposition
from pbxcrm.screenpop.queries import Card, access_own_call, load_dock
from pbxcrm.screenpop.reach import Reach, load_reach
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
    reach: Reach
    colleagues: list[Colleague]  # to whom a call may be given


async def dock(request: Request) -> Response:
    """The cards as they stand now; the page asks for them when the stream cannot tell."""
    shown = await _shown(parts(request), viewer(request), now(request))
    return render(request, "dock/_cards.html", dock=shown, words=words)


def pusher(of: Parts) -> Pusher:
    """Draws one person's dock for the live stream."""
    timezone = ZoneInfo(of.settings.timezone)

    async def push(person: Viewer) -> str:
        at = of.clock()
        shown = await _shown(of, person, at)
        language = Language.of(person.language) or Language.of(of.settings.language) or Language.EN
        with speaking(Here(language, timezone, at, of.settings.currency)):
            return of.templates.text("dock/_cards.html", dock=shown, words=words, viewer=person)

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


async def _shown(of: Parts, person: Viewer, at: datetime) -> Shown:
    if not can(person, Permission.PHONE_USE):
        return Shown([], [], Reach(), [])
    async with of.db.read() as session:
        cards = await load_dock(session, person, at)
        reach = await load_reach(session, person, cards)
        talking = any(card.state is CardState.TALKING for card in cards)
        colleagues = await _colleagues(session, person) if talking else []
    living = [card for card in cards if card.state is not CardState.AFTER]
    return Shown(living, [card for card in cards if card.state is CardState.AFTER], reach, colleagues)


async def _colleagues(session: AsyncSession, person: Viewer) -> list[Colleague]:
    people = await load_directory(session)
    return [
        Colleague(people.name(mate), extension)
        for mate in sorted(people.team_of(person.user_id) - {person.user_id})
        for extension in people.extensions.get(mate, [])[:1]
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
