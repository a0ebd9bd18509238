"""Requests that came through forms and by e-mail: the list, what was set aside, and the bell of whoever gets one."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pbxcrm.forms.accept_actions import accept_request
from pbxcrm.forms.access import access_request, manages_requests
from pbxcrm.forms.actions import Surroundings
from pbxcrm.forms.models import RequestState
from pbxcrm.forms.queries import consent_version, list_requests, load_forms
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.numbers import format_for_people
from web.answers import redirect
from web.cursors import next_of_id, read_id
from web.i18n import gettext as _
from web.pages.common import LISTED, asked_id, show
from web.parts import now, parts, viewer

EXISTING = "existing"
STATES = {state.value: state for state in RequestState}


async def listed(request: Request) -> Response:
    """``GET /requests?state=aside&form=3``: requests, newest first; ``state`` may also be ``existing``: clients who had bought before."""
    state, form_id = request.query_params.get("state", ""), asked_id(request, "form")
    async with parts(request).db.read() as session:
        rows = await list_requests(
            session,
            viewer(request),
            state=STATES.get(state),
            form_id=form_id,
            existing=state == EXISTING,
            before=read_id(request.query_params.get("cursor", "")),
            limit=LISTED + 1,
        )
        forms = (await load_forms(session)).by_id
    if form_id is not None and form_id not in forms:
        raise NotFound("forms.not_found", "There is no such form, or it takes no requests any more.")
    return show(
        request,
        "requests/list.html",
        rows=rows[:LISTED],
        more=next_of_id(rows[LISTED - 1].request.id) if len(rows) > LISTED else "",
        state=state,
        forms=forms,
        form_id=form_id,
        manages=manages_requests(viewer(request)),
    )


async def consent(request: Request) -> Response:
    """``GET /requests/12/consent``: the text to which the sender agreed."""
    async with parts(request).db.read() as session:
        found = await access_request(session, viewer(request), request.path_params["request_id"])
        text = await consent_version(session, found.form_id, found.consent_version)
    if text is None:
        raise NotFound("forms.no_consent", "This request came without consent: its form asked for none.")
    return show(request, "requests/consent.html", row=found, text=text)


async def bell(request: Request) -> Response:
    """``GET /requests/12/bell``: what the page says to whoever just got it, as JSON."""
    async with parts(request).db.read() as session:
        found = await access_request(session, viewer(request), request.path_params["request_id"])
        form = (await load_forms(session)).by_id.get(found.form_id)
    who = found.name or found.email or (format_for_people(found.number) if found.number else "")
    said = {
        "title": _("New request: {name}").format(name=who or "—"),
        "text": form.name if form is not None else "",
        "href": f"/deals/{found.deal_id}" if found.deal_id is not None else "/requests",
        "open": _("Open"),
    }
    return JSONResponse(said)


async def accept(request: Request) -> Response:
    """``POST /requests/12/accept``: it was set aside, and is a request."""
    settings = parts(request).settings
    around = Surroundings(settings.region, settings.currency, settings.files_total_gb)
    async with parts(request).db.write() as session:
        found = await accept_request(session, viewer(request), request.path_params["request_id"], around, now(request))
    return redirect(request, f"/deals/{found.deal_id}", done="saved")
