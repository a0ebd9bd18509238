"""The client said no: the button on the card, and the page of the link in an e-mail, on which nobody is logged in."""

from http import HTTPStatus
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.messages.models import Delivery
from pbxcrm.messages.queries import delivery_by_secret
from pbxcrm.messages.stop_actions import stop_client, unsubscribe, welcome_client
from pbxcrm.shared.errors import NotFound
from web.answers import redirect
from web.auth import local_path
from web.forms import read_form
from web.i18n import Here, Language, speaking
from web.parts import now, parts, viewer

#: The address is a secret: no other page is told it, and no cache keeps the answer.
HEADERS = {"referrer-policy": "no-referrer", "cache-control": "no-store"}


async def stop(request: Request) -> Response:
    """``POST /contacts/{id}/no-messages``: the client wants no messages. ``back``: the card to return to."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    async with parts(request).db.write() as session:
        await stop_client(session, viewer(request), contact_id, now(request))
    return redirect(request, local_path(form["back"] or f"/contacts/{contact_id}"), done="no_messages")


async def welcome(request: Request) -> Response:
    """``POST /contacts/{id}/messages-again``: the client wants messages again. ``back``: the card to return to."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    async with parts(request).db.write() as session:
        await welcome_client(session, viewer(request), contact_id, now(request))
    return redirect(request, local_path(form["back"] or f"/contacts/{contact_id}"), done="saved")


async def ask(request: Request) -> Response:
    """``GET /unsubscribe/SECRET``: asks whether it is meant. Programs that look at links follow this one, so it changes nothing."""
    try:
        async with parts(request).db.read() as session:
            delivery = await delivery_by_secret(session, request.path_params["message_secret"])
    except NotFound:
        return _page(request, None, HTTPStatus.NOT_FOUND)
    return _page(request, delivery)


async def end(request: Request) -> Response:
    """``POST /unsubscribe/SECRET``: nothing is sent there any more. By the button, or by a mail program (RFC 8058)."""
    try:
        async with parts(request).db.write() as session:
            delivery = await unsubscribe(session, request.path_params["message_secret"], now(request))
    except NotFound:
        return _page(request, None, HTTPStatus.NOT_FOUND)
    return _page(request, delivery, is_done=True)


def _page(
    request: Request, delivery: Delivery | None, status: int = HTTPStatus.OK, *, is_done: bool = False
) -> HTMLResponse:
    settings = parts(request).settings
    wanted = delivery.data.get("language", "") if delivery is not None else ""
    language = Language.of(wanted) or Language(settings.language)
    with speaking(Here(language, ZoneInfo(settings.timezone), now(request), settings.currency)):
        html = parts(request).templates.text(
            "messages/unsubscribe.html", is_known=delivery is not None, is_done=is_done
        )
    return HTMLResponse(html, status, HEADERS)
