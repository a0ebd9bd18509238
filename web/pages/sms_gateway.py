"""Settings: the gateway of SMS, its test, and the latest SMS."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.messages.gateway_actions import GatewayDraft, save_gateway, try_gateway
from pbxcrm.messages.gateway_presets import PRESETS
from pbxcrm.messages.gateway_queries import access_gateway, latest_sms
from pbxcrm.messages.gateway_rules import IN_TEXT, METHODS, BodyFormat
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.runtime_options import load_options
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer

PATH = "/settings/messages/sms"
_TEXTS = (
    "address", "method", "headers", "body_format", "body", "sender", "taken_path", "error_path", "taken_words",
)  # fmt: skip
_TICKED = ("is_on", "knows_repeats")
_FORMATS = {
    BodyFormat.JSON.value: "JSON",
    BodyFormat.FORM.value: N_("Form: name=value&name=value"),
    BodyFormat.XML.value: "XML",
}


async def one(request: Request) -> Response:
    """``GET /settings/messages/sms``; ``?like=turbosms``: filled as that gateway wants it."""
    return await _page(request)


async def save(request: Request) -> Response:
    """``POST /settings/messages/sms``. An empty secret leaves the known one."""
    form = await read_form(request)
    typed: dict[str, Any] = {name: form[name] for name in _TEXTS} | {name: form.ticked(name) for name in _TICKED}
    draft = GatewayDraft(**typed, secret=form["secret"] or None)
    try:
        async with parts(request).db.write() as session:
            await save_gateway(session, viewer(request), draft, now(request), version=form.number("version"))
    except Invalid as error:
        form.refuse(error)
        return await _page(request, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, PATH, done="saved")


async def send_test(request: Request) -> Response:
    """``POST /settings/messages/sms/try``: an SMS to ``number``, past the guards."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            region = parts(request).settings.region
            words = _("This is a test of SMS.")
            await try_gateway(session, viewer(request), form["number"], words, region, now(request))
    except (Invalid, Conflict) as error:
        form.refuse(error if isinstance(error, Invalid) else Invalid("number", error.code, error.message))
        return await _page(request, test_form=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}#latest", done="message_queued")


async def _page(
    request: Request, form: Form | None = None, test_form: Form | None = None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        gateway = await access_gateway(session, viewer(request))
        sent = await latest_sms(session, viewer(request))
        test_number = (await load_options(session)).message_test_number
    like = PRESETS.get(request.query_params.get("like", ""))
    if form is None:
        known = {name: getattr(gateway, name) for name in (*_TEXTS, *_TICKED)} if gateway is not None else {}
        values = asdict(like[1]) if like is not None else known or asdict(GatewayDraft(""))
        if like is not None and gateway is not None:
            values["sender"] = gateway.sender
        values["version"] = gateway.version if gateway is not None else 0
        form = filled(values)
    return show(
        request,
        "messages/sms.html",
        status=status,
        gateway=gateway,
        form=form,
        test_form=test_form or filled({"number": test_number}),
        sent=sent,
        presets=[(code, name) for code, (name, _draft) in PRESETS.items()],
        like=like[0] if like is not None else "",
        methods=[(each, each) for each in METHODS],
        formats=[(code, _(name)) for code, name in _FORMATS.items()],
        places=sorted(IN_TEXT),
    )
