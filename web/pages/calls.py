"""Calls: the list, one call with its legs and the decisions made from it, and its recording."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.callbacks.withheld_actions import give_withheld_call
from pbxcrm.calls.access import audible_of
from pbxcrm.calls.models import CallLeg
from pbxcrm.calls.queries import CallCard, CallFilter, access_call, access_call_card, list_calls
from pbxcrm.calls.recordings import NOT_YOURS, Recording
from pbxcrm.contacts.queries import access_company
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.flags.queries import FlagFilter, list_flags
from pbxcrm.notes.actions import add_note
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotFound, Unavailable
from web import recordings, words
from web.answers import redirect, toast
from web.cursors import next_of_time
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.pages.common import LISTED, PERIODS, asked_cursor, asked_id, asked_text, period, show
from web.parts import now, parts, viewer

OUTCOME_CHIPS = ("answered", "missed", "voicemail", "no_answer")


async def calls(request: Request) -> Response:
    """``GET /calls?direction=&outcome=&mine=&anonymous=&company=&period=&q=``: newest first; the address holds all filters."""
    asked = request.query_params
    since, until = period(asked.get("period", ""))
    chosen = CallFilter(
        direction=asked.get("direction", "") if asked.get("direction", "") in words.DIRECTIONS else "",
        outcome=asked.get("outcome", "") if asked.get("outcome", "") in words.OUTCOMES else "",
        mine=viewer(request).user_id if "mine" in asked else None,
        text=asked_text(request),
        since=since,
        until=until,
        anonymous=bool(asked.get("anonymous", "")),
        company_id=asked_id(request, "company"),
    )
    async with parts(request).db.read() as session:
        company = await access_company(session, viewer(request), chosen.company_id) if chosen.company_id else None
        found = await list_calls(session, viewer(request), chosen, before=asked_cursor(request), limit=LISTED + 1)
    rows = found.rows
    more = next_of_time(rows[LISTED - 1].call.started_at, rows[LISTED - 1].call.id) if len(rows) > LISTED else ""
    if found.resume is not None:
        more = next_of_time(*found.resume)
    return show(
        request,
        "calls/list.html",
        fragment="calls/_rows.html",
        rows=rows[:LISTED],
        more=more,
        looked_to=found.resume[0] if found.resume is not None else None,
        chosen=chosen,
        company=company,
        period=asked.get("period", "") if asked.get("period", "") in PERIODS else "",
        outcomes=OUTCOME_CHIPS,
    )


async def call(request: Request) -> Response:
    """``GET /calls/{id}``."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        card = await access_call_card(session, who, request.path_params["call_id"])
        flags = [each.flag for each in await list_flags(session, who, FlagFilter(call_id=card.row.call.id))]
        people = await load_directory(session)
        hears = card.row.call.id in await audible_of(session, who, [card.row.call.id])
    recording, trouble = None, ""
    if can(who, Permission.RECORDINGS_LISTEN) and (card.row.call.talk_seconds or card.row.call.recording):
        recording, trouble = await recording_of(request, card) if hears else (None, _(NOT_YOURS))
    return show(
        request,
        "calls/call.html",
        card=card,
        row=card.row,
        call=card.row.call,
        flags=flags,
        flag_people=people,
        bars=bars_of(card, now(request)),
        recording=recording,
        trouble=trouble,
        form=filled({}),
    )


async def client(request: Request) -> Response:
    """``POST /calls/{id}/client``: the caller with the withheld number was ``contact_id``; empty takes it back."""
    form, call_id = await read_form(request), request.path_params["call_id"]
    try:
        async with parts(request).db.write() as session:
            _check_chosen(form)
            await give_withheld_call(session, viewer(request), call_id, form.id("contact_id"), now=now(request))
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
    return redirect(request, f"/calls/{call_id}", done="saved")


def _check_chosen(form: Form) -> None:
    if form["contact"] and form.id("contact_id") is None:
        raise Invalid("contact_id", "unsorted.client", "Choose a client from the list.")


async def note(request: Request) -> Response:
    """``POST /calls/{id}/note``: a note about the call; also on its deal if the viewer may open it."""
    form = await read_form(request)
    call_id = request.path_params["call_id"]
    try:
        async with parts(request).db.write() as session:
            found = await access_call(session, viewer(request), call_id)
            deal = await _own_deal(session, viewer(request), found.deal_id)
            await add_note(session, viewer(request), form["text"], now(request), deal=deal, call_id=found.id)
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
    return redirect(request, f"/calls/{call_id}", done="saved")


async def _own_deal(session: AsyncSession, who: Viewer, deal_id: int | None) -> Deal | None:
    """The call's deal if the viewer may open it; else None, and the note belongs to the call alone."""
    if deal_id is None:
        return None
    try:
        return await access_deal(session, who, deal_id)
    except NotFound:
        return None


async def recording_of(request: Request, card: CallCard) -> tuple[Recording | None, str]:
    """The recording, or a sentence that says why there is none."""
    try:
        return await recordings.find(request, card.row.call), ""
    except (NotFound, Conflict, Unavailable) as error:
        return None, _(error.message).format(**error.params)


async def recording(request: Request) -> Response:
    """``GET /calls/{id}/recording``: the sound, whole or a range (RFC 9110, 14), only from the recordings folder.

    Files of any size are streamed; none is read into memory.
    """
    async with parts(request).db.read() as session:
        found = await access_call(session, viewer(request), request.path_params["call_id"])
    file = await recordings.listen(request, found)
    download = "download" in request.query_params
    name = f"{found.started_at:%Y-%m-%d_%H-%M}_{(found.client_number or 'call').lstrip('+')}{file.path.suffix.lower()}"
    return FileResponse(
        file.path,
        media_type=file.media_type,
        filename=name,
        content_disposition_type="attachment" if download or not file.playable else "inline",
        headers=recordings.SOUND_HEADERS,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: ``left`` and ``width`` in percent of the call; ``kind`` dialled, ringing or talking."""

    kind: str
    left: float
    width: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One extension's part in the call; a queue's repeated ringing is one bar of many pieces."""

    extension: str
    user_name: str
    result: str
    rang_seconds: float
    talked_seconds: float
    pieces: list[Piece]


def bars_of(card: CallCard, at: datetime) -> list[Bar]:
    """The legs as bars on the time axis of the call, in the order in which the phones were called."""
    found = card.row.call
    start, end = found.started_at, found.ended_at or at
    whole = max(1.0, (end - start).total_seconds())

    def piece(kind: str, since: datetime, until: datetime) -> Piece:
        left = min(max(0.0, (since - start).total_seconds()), whole)
        seconds = max(0.0, (until - since).total_seconds())
        return Piece(kind, round(100 * left / whole, 2), round(100 * min(seconds, whole - left) / whole, 2), seconds)

    legs: dict[str, list[CallLeg]] = {}
    for leg in card.legs:
        legs.setdefault(leg.extension, []).append(leg)
    bars = []
    for extension, own in legs.items():
        pieces: list[Piece] = []
        for leg in own:
            stop = leg.ended_at or end
            ringing, talking = leg.ringing_at, leg.answered_at
            pieces.append(piece("dialled", leg.dialled_at, ringing or talking or stop))
            if ringing is not None:
                pieces.append(piece("ringing", ringing, talking or stop))
            if talking is not None:
                pieces.append(piece("talking", talking, stop))
        user = next((card.users[leg.user_id] for leg in own if leg.user_id in card.users), None)
        talked = next((leg for leg in own if leg.answered_at is not None), own[-1])
        bars.append(
            Bar(
                extension,
                user.name if user is not None else "",
                talked.result,
                sum(p.seconds for p in pieces if p.kind == "ringing"),
                sum(p.seconds for p in pieces if p.kind == "talking"),
                [p for p in pieces if p.width > 0],
            )
        )
    return bars
