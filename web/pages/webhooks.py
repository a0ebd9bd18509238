"""Outgoing webhooks: programs that rules call, what was sent to each, and sending it again."""

from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.automation.queries import rules_calling
from pbxcrm.automation.run_queries import deals_named
from pbxcrm.messages.models import Webhook
from pbxcrm.messages.webhook_actions import (
    AGAIN,
    change_webhook,
    create_webhook,
    delete_webhook,
    renew_secret,
    send_again,
)
from pbxcrm.messages.webhook_queries import access_webhook, count_deliveries, deliveries_of_webhook, list_webhooks
from pbxcrm.shared.errors import Conflict, Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.pages.common import show
from web.parts import now, parts, viewer
from web.two_tabs import check_unchanged, drawn

PATH = "/automation/webhooks"


async def listed(request: Request) -> Response:
    """``GET /automation/webhooks``: all of them, and the form of a new one."""
    return await _list(request, filled({}))


async def create(request: Request) -> Response:
    """``POST /automation/webhooks``: a new one, whose secret is shown once."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            made, secret = await create_webhook(
                session, viewer(request), name=form["name"], address=form["address"], now=now(request)
            )
    except (Invalid, Conflict) as error:
        form.refuse(error if isinstance(error, Invalid) else Invalid("", error.code, error.message, **error.params))
        return await _list(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return await _list(request, filled({}), made=made, secret=secret)


async def one(request: Request) -> Response:
    """``GET /automation/webhooks/12``: its form, and what was sent to it."""
    return await _one(request)


async def save(request: Request) -> Response:
    """``POST /automation/webhooks/12``: other name or address, on or off."""
    form = await read_form(request)
    webhook_id = request.path_params["webhook_id"]
    try:
        async with parts(request).db.write() as session:
            check_unchanged(form, _form_of(await access_webhook(session, viewer(request), webhook_id)))
            await change_webhook(
                session,
                viewer(request),
                webhook_id,
                name=form["name"],
                address=form["address"],
                is_on=bool(form["is_on"]),
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _one(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}/{webhook_id}", done="saved")


async def renew(request: Request) -> Response:
    """``POST /automation/webhooks/12/secret``: a new secret, shown once."""
    async with parts(request).db.write() as session:
        _webhook, secret = await renew_secret(session, viewer(request), request.path_params["webhook_id"], now(request))
    return await _one(request, secret=secret)


async def delete(request: Request) -> Response:
    """``POST /automation/webhooks/12/delete``: what was sent stays."""
    async with parts(request).db.write() as session:
        await delete_webhook(session, viewer(request), request.path_params["webhook_id"], now(request))
    return redirect(request, PATH, done="deleted")


async def again(request: Request) -> Response:
    """``POST /automation/webhooks/12/messages/7/again``: send it once more, with its key."""
    webhook_id, delivery_id = request.path_params["webhook_id"], request.path_params["webhook_delivery_id"]
    async with parts(request).db.write() as session:
        await send_again(session, viewer(request), webhook_id, delivery_id, now(request))
    return redirect(request, f"{PATH}/{webhook_id}", done="saved")


def _form_of(webhook: Webhook) -> Form:
    return drawn({"name": webhook.name, "address": webhook.address, "is_on": webhook.is_on})


async def _one(request: Request, form: Form | None = None, status: int = 200, *, secret: str = "") -> HTMLResponse:
    webhook_id = request.path_params["webhook_id"]
    async with parts(request).db.read() as session:
        webhook = await access_webhook(session, viewer(request), webhook_id)
        sent = await deliveries_of_webhook(session, viewer(request), webhook_id)
        callers = await rules_calling(session, webhook_id)
        deals = await deals_named(session, {each.deal_id for each in sent if each.deal_id is not None})
    return show(
        request,
        "automation/webhook.html",
        status=status,
        webhook=webhook,
        form=form or _form_of(webhook),
        sent=sent,
        deals=deals,
        secret=secret,
        again=AGAIN if webhook.deleted_at is None else (),
        callers=callers,
    )


async def _list(
    request: Request, form: Form, status: int = 200, *, made: Webhook | None = None, secret: str = ""
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        webhooks = await list_webhooks(session, viewer(request))
        counts = await count_deliveries(session, viewer(request), now(request) - timedelta(days=30))
    return show(
        request,
        "automation/webhooks.html",
        status=status,
        form=form,
        webhooks=[each for each in webhooks if each.deleted_at is None],
        deleted=[each for each in webhooks if each.deleted_at is not None],
        counts=counts,
        made=made,
        secret=secret,
    )
