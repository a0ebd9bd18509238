"""The dock: call cards, pushed to every tab of the person whose phone rings, and the actions on them."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.creation_actions import stage_of_new
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.screenpop import card_actions, outcome_actions
from pbxcrm.screenpop.card_contents import Card
from pbxcrm.screenpop.deal_access import deal_access_of
from pbxcrm.screenpop.dock_queries import CardSlot, Dock, Wanted, access_own_call, load_cards, load_docks
from pbxcrm.screenpop.models import Disposition
from pbxcrm.screenpop.rules import CardState
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.models import Task
from web import gate_dialog
from web.answers import redirect, toast, with_toast
from web.forms import filled, read_form
from web.gone_card_words import stopped
from web.i18n import Here, Language, here, ngettext, speaking
from web.i18n import gettext as _
from web.live import Pusher, RenderRequest
from web.pages.common import show
from web.parts import Parts, now, parts, viewer
from web.regions import RegionHtml
from web.words import WHY_NOT

NEXT_SAID = {"10m": "in 10 min", "2h": "in 2 h", "tomorrow": "next working day morning", "3d": "in 3 days morning"}
DRAWN_ANEW_AFTER = timedelta(seconds=30)
NO_CARDS = Dock([], [], 0, {}, {})
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


class Colleague(NamedTuple):
    """A colleague to whom a call can be transferred."""

    name: str
    extension: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A rendered card. It is reused until a hint names its call or it is a little old, because no hint tells of changes to the
    client's other calls and deals.
    """

    state: CardState
    language: str
    at: datetime
    html: str

    def serves(self, place: CardSlot, language: str, at: datetime) -> bool:
        """Whether the rendered card can be reused."""
        return self.state is place.state and self.language == language and at - self.at < DRAWN_ANEW_AFTER


async def dock(request: Request) -> Response:
    """``GET /dock``: the current cards. The page asks for them when the stream cannot push."""
    return await _own_dock(request)


async def _own_dock(request: Request) -> HTMLResponse:
    person = replace(viewer(request), language=here().language.value)
    drawn = [html async for _asked, html in _draw(parts(request), [RenderRequest(person, {}, {""})], now(request))]
    return HTMLResponse(drawn[0].whole())


def pusher(of: Parts) -> Pusher:
    """The pusher that renders docks for the live stream."""
    return lambda asked: _draw(of, asked, of.clock())


async def _draw(
    of: Parts, asked: Sequence[RenderRequest], at: datetime
) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
    """Docks, each in the language of its reader. Their data is loaded for all at once, except cards that can be reused."""
    docks, cards, people = await _load(of, asked, at)
    timezone = ZoneInfo(of.settings.timezone)
    for each in asked:
        person, dock = each.person, docks.get(each.person.user_id, NO_CARDS)
        with speaking(Here(_language(of, person), timezone, at, of.settings.currency)):
            for place in dock.places:
                card = cards.get((person.user_id, place))
                if card is not None and people is not None:
                    html = of.templates.text("dock/_card.html", **_facing(of, person, card, people))
                    each.drawn[place.call_id] = Drawn(place.state, here().language, at, html)
            for gone in each.drawn.keys() - {place.call_id for place in dock.places}:
                del each.drawn[gone]
            outline = of.templates.text("dock/_cards.html", dock=dock, drawn=each.drawn)
            yield each, RegionHtml(outline, {f"call-{id_}": card.html for id_, card in each.drawn.items()})


async def _load(
    of: Parts, asked: Sequence[RenderRequest], at: datetime
) -> tuple[dict[int, Dock], dict[Wanted, Card], Directory | None]:
    """The places of everybody's dock, and the cards that must be rendered."""
    may = [each for each in asked if can(each.person, Permission.PHONE_USE)]
    async with of.db.read() as session:
        docks = await load_docks(session, [each.person for each in may], at)
        missing = []
        for each in may:
            _forget(each)
            for place in docks[each.person.user_id].places:
                drawn = each.drawn.get(place.call_id)
                if drawn is None or not drawn.serves(place, _language(of, each.person), at):
                    missing.append((each.person.user_id, place))
        if not missing:
            return docks, {}, None
        today = at.astimezone(ZoneInfo(of.settings.timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
        cards = await load_cards(session, [each.person for each in may], docks, missing, at, today)
        return docks, cards, await load_directory(session)


def _forget(asked: RenderRequest) -> None:
    """Drop the rendered cards of calls that a hint names."""
    if "" in asked.about:
        asked.drawn.clear()
    for ref in asked.about - {""}:
        asked.drawn.pop(int(ref), None)


def _facing(of: Parts, person: Viewer, card: Card, people: Directory) -> dict[str, Any]:
    """The context for the template of a card."""
    talks = card.state is CardState.TALKING
    return {
        "viewer": person,
        "card": card,
        "why_not": WHY_NOT if card.state is CardState.AFTER else (),
        "reach": deal_access_of(person, [card], people),
        "colleagues": of.templates.repeated("dock/_colleagues.html", colleagues=_colleagues(people, person))
        if talks
        else "",
    }


def _language(of: Parts, person: Viewer) -> Language:
    return Language.of(person.language) or Language.of(of.settings.language) or Language.EN


async def save_note(request: Request) -> Response:
    """``POST /dock/{call}/note``: ``text``. The note is saved while it is typed."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await card_actions.save_note(session, viewer(request), _call_id(request), form.get("text"), now(request))
    return Response(status_code=204)


async def why_stopped(request: Request) -> Response:
    """``GET /dock/{call}/stopped``: why a phone stopped ringing, as plain text with ``{name}``, for screen readers (announce.js)."""
    person = viewer(request)
    async with parts(request).db.read() as session:
        call = await access_own_call(session, person, _call_id(request))
        people = await load_directory(session)
    return PlainTextResponse(stopped(call, people, person.user_id))


async def choose_contact(request: Request) -> Response:
    """``POST /dock/{call_id}/contact``: which client called, if several share the number."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await card_actions.choose_contact(
            session, viewer(request), _call_id(request), form.id("contact_id") or 0, now(request)
        )
    return await dock(request)


async def ask_client(request: Request) -> Response:
    """``GET /dock/{id}/link``: the dialog that links an unknown number to a known client."""
    async with parts(request).db.read() as session:
        call = await access_own_call(session, viewer(request), _call_id(request))
    return show(request, "dock/link.html", form=filled({}), call=call)


async def link(request: Request) -> Response:
    """``POST /dock/{id}/link``: add the number to this client."""
    form, call_id = await read_form(request), _call_id(request)
    try:
        region = parts(request).settings.region
        async with parts(request).db.write() as session:
            client = await card_actions.link_client(
                session, viewer(request), call_id, form.id("contact_id"), region=region, now=now(request)
            )
    except Invalid as error:
        form.refuse(error)
        async with parts(request).db.read() as session:
            call = await access_own_call(session, viewer(request), call_id)
        return show(request, "dock/link.html", fragment="dock/_link.html", status=UNPROCESSABLE, form=form, call=call)
    return redirect(request, f"/contacts/{client.id}", done="saved")


async def make_client(request: Request) -> Response:
    """``POST /dock/{id}/client``: name an unknown caller: a known client (``contact_id``) or a new one named ``contact``;
    with ``deal`` also make a deal. Answers with the card.
    """
    form, call_id, settings = await read_form(request), _call_id(request), parts(request).settings
    known, with_deal = form.id("contact_id"), form.ticked("deal")
    try:
        async with parts(request).db.write() as session:
            if known is not None:
                client = await card_actions.link_client(
                    session, viewer(request), call_id, known, region=settings.region, now=now(request)
                )
            else:
                client = await card_actions.make_client(
                    session,
                    viewer(request),
                    call_id,
                    form["contact"],
                    region=settings.region,
                    now=now(request),
                    deal_currency=settings.currency if with_deal else None,
                    completed=await gate_dialog.of_new(session, request, form),
                )
            name = client.name
    except Invalid as refused:
        async with parts(request).db.read() as session:
            error = await gate_dialog.told_of_new(session, refused)
        if not with_deal or not gate_dialog.asks(form, error):
            raise error from refused
        return await gate_dialog.ask_missing(request, form, error, None, stage_id=await _stage_of_new(request))
    said = _("The number is one of {client} now.") if known is not None else _("“{client}” is a client now.")
    return with_toast(request, await _own_dock(request), said.format(client=name))


async def _stage_of_new(request: Request) -> int | None:
    async with parts(request).db.read() as session:
        return (await stage_of_new(session)).id


async def attach(request: Request) -> Response:
    """``POST /dock/{call}/attach``: ``deal_id``, the deal that the call belongs to."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await card_actions.attach_deal(
            session, viewer(request), _call_id(request), form.id("deal_id") or 0, now(request)
        )
    return await dock(request)


async def finish(request: Request) -> Response:
    """``POST /dock/{call}/finish``: the outcome of the call and, optionally, the next step."""
    form = await read_form(request)
    call_id, at = _call_id(request), now(request)
    async with parts(request).db.read() as session:
        deal_id = (await access_own_call(session, viewer(request), call_id)).deal_id
    planned = gate_dialog.is_completed(
        form
    )  # then the next task is created by the move of the deal, not with the outcome
    try:
        async with parts(request).db.write() as session:
            if deal_id is not None:
                await gate_dialog.fill_in(session, request, form, deal_id)
            passed = await outcome_actions.finish(
                session,
                viewer(request),
                call_id,
                form["disposition"],
                at,
                next_title=form["next_title"] or _("Call again"),
                next_at=None if planned else form.utc_time("next_at") or await _next_at(request, form["next"], at),
                why=form["why"],
            )
            text = await _finished(session, passed, _("The call is finished."))
    except Invalid as error:
        if deal_id is None or not gate_dialog.asks(form, error):
            raise
        return await gate_dialog.ask_missing(request, form, error, deal_id)
    return toast(request, text, undo=f"/dock/{call_id}/unhide")


async def hide(request: Request) -> Response:
    """``POST /dock/{call}/hide``: remove the card from the viewer's own dock."""
    call_id = _call_id(request)
    async with parts(request).db.write() as session:
        await outcome_actions.hide(session, viewer(request), call_id, now(request))
    return toast(request, _("The card is put away."), undo=f"/dock/{call_id}/unhide")


async def unhide(request: Request) -> Response:
    """``POST /dock/{call}/unhide``: the undo of ``hide``."""
    async with parts(request).db.write() as session:
        await outcome_actions.unhide(session, viewer(request), _call_id(request), now(request))
    return Response(status_code=204)


async def finish_together(request: Request) -> Response:
    """``POST /dock/finish-together``: finish all own calls without an outcome, or (``away``) only remove their cards."""
    form, at, token = await read_form(request), now(request), secrets.token_hex(8)
    away = form.ticked("away")
    disposition = "" if away else Disposition.DONE.value
    async with parts(request).db.write() as session:
        count = await outcome_actions.finish_together(session, viewer(request), disposition, at, before=at, token=token)
    if not count:
        return toast(request, _("There is none left to settle."), tone="")
    if away:
        said = ngettext("{num} card is put away.", "{num} cards are put away.", count)
    else:
        said = ngettext("{num} call is settled.", "{num} calls are settled.", count)
    return toast(request, said.format(num=count), undo=f"/dock/together/{token}/undo")


async def unfinish_together(request: Request) -> Response:
    """``POST /dock/together/{token}/undo``: cards finished together come back."""
    async with parts(request).db.write() as session:
        await outcome_actions.unfinish_together(session, viewer(request), request.path_params["token"], now(request))
    return Response(status_code=204)


async def not_a_client(request: Request) -> Response:
    """Put the number on the list of numbers that are not clients, and remove the card."""
    call_id, at = _call_id(request), now(request)
    region = parts(request).settings.region
    async with parts(request).db.write() as session:
        passed = await outcome_actions.mark_not_a_client(session, viewer(request), call_id, region=region, now=at)
        text = await _finished(session, passed, _("The number is on the list of those that are not clients."))
    return toast(request, text, undo=f"/dock/{call_id}/unhide")


async def _finished(session: AsyncSession, passed: Task | None, text: str) -> str:
    """The toast after a card was finished; if a colleague must decide something, it names them."""
    if passed is None:
        return text
    who = (await load_directory(session)).name(passed.assignee_id) or _("nobody")
    return _("The call is finished. The deal or the client is another's: passed on to {who}.").format(who=who)


def _colleagues(everybody: Directory, person: Viewer) -> tuple[Colleague, ...]:
    return tuple(
        Colleague(everybody.name(mate), extension)
        for mate in sorted(everybody.team_of(person.user_id) - {person.user_id})
        for extension in everybody.extensions.get(mate, [])[:1]
    )


async def _next_at(request: Request, choice: str, at: datetime) -> datetime | None:
    """The due time of a quick choice, in the calendar of the viewer."""
    if choice not in NEXT_SAID:
        return None
    async with parts(request).db.read() as session:
        calendars = await load_calendars(session, await load_directory(session))
    return read_deadline(NEXT_SAID[choice], at, calendars.of_user(viewer(request).user_id))


def _call_id(request: Request) -> int:
    found: int = request.path_params["call_id"]
    return found
