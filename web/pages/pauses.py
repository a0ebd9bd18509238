"""The pause of a deal, on its page: its lamps rest until a day, for a reason. A manager must approve a long pause."""

from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.checkpoints.pause_actions import approve_pause, end_pause, look_at_end, pause_deal
from pbxcrm.deals.queries import access_deal_row
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from web.answers import redirect, with_toast
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.pages.common import asked_text, show
from web.parts import now, parts, viewer, wants_fragment
from web.pauses import standing_of


async def panel(request: Request) -> Response:
    """``GET /deals/{id}/pause``: only the panel."""
    return await _panel(request, Form())


async def look(request: Request) -> Response:
    """``GET /deals/{id}/pause/look?until=``: when its next lamp would light with a pause until then."""
    form = filled({"until": asked_text(request, "until")})
    try:
        until = _until(form)
    except Invalid:
        until = now(request)
    async with parts(request).db.read() as session:
        row = await access_deal_row(session, viewer(request), request.path_params["deal_id"])
        found = await look_at_end(session, row.deal.id or 0, until, now=now(request))
    return show(request, "deals/_pause_look.html", deal=row.deal, look=found if until > now(request) else None)


async def create(request: Request) -> Response:
    """``POST /deals/{id}/pause``: pause the deal until ``until`` for ``reason``."""
    form = await read_form(request)
    try:
        until = _until(form)
        async with parts(request).db.write() as session:
            pause = await pause_deal(
                session, viewer(request), request.path_params["deal_id"], until, form["reason"], now=now(request)
            )
            waits = pause.waits_for_approval
    except Invalid as error:
        form.refuse(error)
        return await _panel(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    said = _("A pause this long waits until a manager agrees.") if waits else _("Paused.")
    return await _done(request, said)


async def end(request: Request) -> Response:
    """``POST …/pause/end``: end the pause now; ``begin=now``: what would light at once is counted from now."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await end_pause(
            session,
            viewer(request),
            request.path_params["deal_id"],
            now=now(request),
            begin_now=form["begin"] == "now",
        )
    return await _done(request, _("The pause is over."))


async def approve(request: Request) -> Response:
    """``POST …/pause/approve``: a manager approves a long pause."""
    async with parts(request).db.write() as session:
        await approve_pause(session, viewer(request), request.path_params["deal_id"], now=now(request))
    return await _done(request, _("Agreed."))


def _until(form: Form) -> datetime:
    until = form.utc_time("until")
    if until is None:
        raise Invalid("until", "pauses.no_end", "Say until when.")
    return until


async def _done(request: Request, said: str) -> Response:
    if not wants_fragment(request):
        return redirect(request, f"/deals/{request.path_params['deal_id']}", done="saved")
    return with_toast(request, await _panel(request, Form()), said)


async def _panel(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        row = await access_deal_row(session, viewer(request), request.path_params["deal_id"])
        standing = await standing_of(session, row.deal.id or 0, now(request))
        people = await load_directory(session)
    return show(
        request,
        "deals/_pause.html",
        status=status,
        row=row,
        deal=row.deal,
        **standing,
        form=form,
        people_of=people,
    )
