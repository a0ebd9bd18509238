"""Consent of clients to the use of their data: what they said, and the text that they agreed to."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.forms.queries import access_consent
from pbxcrm.shared.errors import Invalid
from web.answers import redirect, toast
from web.forms import read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer


async def keep(request: Request) -> Response:
    """``POST /contacts/{id}/consent``: the client gave (``given=1``) or withdrew consent, as ``source`` says how."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    try:
        async with parts(request).db.write() as session:
            given = form["given"] == "1"
            await keep_consent(
                session, viewer(request), contact_id, is_given=given, source=form["source"], now=now(request)
            )
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
    return redirect(request, f"/contacts/{contact_id}", done="saved")


async def text(request: Request) -> Response:
    """``GET /consents/{id}``: the text to which the client agreed."""
    async with parts(request).db.read() as session:
        consent, found = await access_consent(session, viewer(request), request.path_params["consent_id"])
    return show(request, "contacts/consent.html", consent=consent, text=found)
