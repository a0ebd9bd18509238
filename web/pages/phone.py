"""Click-to-call from any page, transfer and hang-up from the call card, and the state of one's own phone."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.phone import actions
from pbxcrm.phone.order_source import wake
from pbxcrm.phone.queries import latest_call_of, latest_order_of
from pbxcrm.shared.numbers import format_for_people
from web.answers import toast
from web.forms import read_form
from web.i18n import gettext as _
from web.parts import now, parts, viewer
from web.phone_orders import is_trouble, order_call, said_of
from web.rendering import render


async def call(request: Request) -> Response:
    """``POST /phone/call``: call ``number``; optional ``extension, episode_id, deal_id, contact_id``. Answers with a toast."""
    command = await order_call(request, await read_form(request))
    return toast(request, said_of(command), tone="")


async def transfer(request: Request) -> Response:
    """``POST /phone/transfer``: ``call_id``, ``attended``, and ``target`` (an extension of the list) or ``number`` (typed)."""
    form = await read_form(request)
    attended = form.ticked("attended")
    async with parts(request).db.write() as session:
        command = await actions.transfer(
            session,
            viewer(request),
            parts(request).settings,
            form.id("call_id") or 0,
            to=form["target"] or form["number"],
            attended=attended,
            now=now(request),
        )
    await wake(parts(request).redis, command.pbx)
    target = format_for_people(command.target)
    if attended:
        return toast(request, _("Calling {target}; hang up to hand the client over.").format(target=target), tone="")
    return toast(request, _("The client goes to {target}.").format(target=target), tone="")


async def hang_up(request: Request) -> Response:
    """``POST /phone/hangup``: hang up the call ``call_id``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        command = await actions.hang_up(session, viewer(request), form.id("call_id") or 0, now=now(request))
    await wake(parts(request).redis, command.pbx)
    return toast(request, _("Hanging up."), tone="")


async def state(request: Request) -> Response:
    """``GET /phone/state``: the state of the last click-to-call for the bar, and the error of the last phone command."""
    async with parts(request).db.read() as session:
        command = await latest_call_of(session, viewer(request).user_id)
        last = await latest_order_of(session, viewer(request).user_id)
    trouble = last if last is not None and is_trouble(last) else None
    return render(
        request,
        "phone/_state.html",
        command=command,
        said=said_of(command) if command else "",
        trouble=trouble,
        wrong=said_of(trouble) if trouble else "",
    )
