"""A message to the client of a deal by hand: a template is chosen, seen as it would be sent, and sent."""

from http import HTTPStatus
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.queries import access_deal
from pbxcrm.messages.actions import decide_delivery, preview_message, send_message
from pbxcrm.messages.queries import access_delivery, access_message_template, list_message_templates
from pbxcrm.shared.errors import Conflict, Invalid
from web.answers import redirect
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.message_words import CHANNELS
from web.pages.common import asked_id, show
from web.parts import now, parts, viewer


async def ask(request: Request) -> Response:
    """``GET /deals/{deal_id}/message?message_template_id=``."""
    return await _page(request, Form(), asked_id(request, "message_template_id"))


async def send(request: Request) -> Response:
    """``POST /deals/{deal_id}/message``: ``message_template_id``, and ``key``: the same form sent twice sends one message."""
    form = await read_form(request)
    deal_id, template_id = request.path_params["deal_id"], form.id("message_template_id")
    if template_id is None:
        form.refuse(Invalid("message_template_id", "messages.choose", "Choose a template."))
        return await _page(request, form, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        async with parts(request).db.write() as session:
            await send_message(session, viewer(request), deal_id, template_id, form["key"], now(request))
    except Conflict as error:
        form.errors[""] = _(error.message).format(**error.params)
        return await _page(request, form, template_id, HTTPStatus.CONFLICT)
    except Invalid as error:
        form.refuse(error)
        return await _page(request, form, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"/deals/{deal_id}", done="message_queued")


async def decide(request: Request) -> Response:
    """``POST /messages/{delivery_id}/decide``: with ``again`` it is sent again, otherwise left."""
    form, delivery_id = await read_form(request), request.path_params["delivery_id"]
    async with parts(request).db.write() as session:
        delivery = await access_delivery(session, viewer(request), delivery_id)
        await decide_delivery(session, viewer(request), delivery_id, now(request), again=form.ticked("again"))
    path = f"/deals/{delivery.deal_id}" if delivery.deal_id is not None else f"/contacts/{delivery.contact_id}"
    return redirect(request, path, done="saved")


async def _page(request: Request, form: Form, template_id: int | None, status: int = HTTPStatus.OK) -> HTMLResponse:
    who = viewer(request)
    async with parts(request).db.read() as session:
        deal = await access_deal(session, who, request.path_params["deal_id"])
        templates = await list_message_templates(session)
        chosen = await access_message_template(session, template_id) if template_id is not None else None
        chosen = chosen or (templates[0] if len(templates) == 1 else None)
        preview = (
            await preview_message(session, who, deal.id or 0, chosen, now(request)) if chosen is not None else None
        )
    return show(
        request,
        "messages/send.html",
        status=status,
        form=form,
        deal=deal,
        templates=[(str(each.id), f"{each.name} · {_(CHANNELS[each.channel])}") for each in templates],
        chosen=chosen,
        preview=preview,
        key=form.get("key") or token_urlsafe(16),
    )
