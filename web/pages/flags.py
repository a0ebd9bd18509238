"""Flags: the list of deals and calls that quality control or a manager flagged; raising and resolving a flag."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.flags.actions import raise_flag, resolve_flag
from pbxcrm.flags.queries import FlagFilter, list_flags
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from web.answers import redirect, toast
from web.cursors import next_of_id, read_id
from web.forms import read_form
from web.i18n import gettext as _
from web.pages.common import LISTED, show
from web.parts import now, parts, viewer


async def listed(request: Request) -> Response:
    """``GET /flags?state=resolved``: the open or the resolved flags, newest first."""
    resolved = request.query_params.get("state", "") == "resolved"
    before = read_id(request.query_params.get("cursor", ""))
    async with parts(request).db.read() as session:
        asked = FlagFilter(open=not resolved)
        rows = await list_flags(session, viewer(request), asked, before=before, limit=LISTED + 1)
        people = await load_directory(session)
    more = next_of_id(rows[LISTED - 1].flag.id) if len(rows) > LISTED else ""
    return show(request, "flags/list.html", rows=rows[:LISTED], more=more, resolved=resolved, people=people)


async def on_deal(request: Request) -> Response:
    """``POST /deals/{id}/flag``: raise a flag with ``reason``."""
    deal_id: int = request.path_params["deal_id"]
    return await _raise(request, f"/deals/{deal_id}", deal_id=deal_id)


async def on_call(request: Request) -> Response:
    """``POST /calls/{id}/flag``: raise a flag with ``reason``."""
    call_id: int = request.path_params["call_id"]
    return await _raise(request, f"/calls/{call_id}", call_id=call_id)


async def _raise(request: Request, back: str, *, deal_id: int | None = None, call_id: int | None = None) -> Response:
    form = await read_form(request)

    async def act() -> str:
        async with parts(request).db.write() as session:
            await raise_flag(session, viewer(request), form["reason"], now(request), deal_id=deal_id, call_id=call_id)
        return back

    return await _said_at_its_place(request, act)


async def resolve(request: Request) -> Response:
    """``POST /flags/{id}/resolve``: ``word`` says what was done."""
    form = await read_form(request)

    async def act() -> str:
        async with parts(request).db.write() as session:
            flag_id: int = request.path_params["flag_id"]
            flag = await resolve_flag(session, viewer(request), flag_id, form["word"], now(request))
        return f"/deals/{flag.deal_id}" if flag.deal_id is not None else f"/calls/{flag.call_id}"

    return await _said_at_its_place(request, act)


async def _said_at_its_place(request: Request, act: Callable[[], Awaitable[str]]) -> Response:
    try:
        return redirect(request, await act(), done="saved")
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
