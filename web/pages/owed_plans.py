"""Deals of one's own that wait for a next task after a failed attempt: said on every page, in every tab, until it is set."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.callbacks.queries import owed_plans
from pbxcrm.deals.queries import access_deal
from web import gate_dialog
from web.answers import redirect, with_toast
from web.due_dates import QUICK
from web.forms import filled, read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import parts, viewer, wants_fragment


async def owed(request: Request) -> Response:
    """``GET /owed-plans``: the notice, empty where nothing waits."""
    return await _notice(request)


async def plan(request: Request) -> Response:
    """``POST /deals/{deal_id}/plan``: *Call back*, due by the pressed button ``quick``; answers the rest of the notice."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    async with parts(request).db.write() as session:
        deal = await access_deal(session, viewer(request), deal_id)
        asked = filled({"next_title": _("Call back"), "quick": form["quick"], "next_due_at": ""})
        await gate_dialog.plan_next(session, request, asked, deal)
    if not wants_fragment(request):
        return redirect(request, f"/deals/{deal_id}", done="added")
    return with_toast(request, await _notice(request), _("Added."))


async def _notice(request: Request) -> HTMLResponse:
    async with parts(request).db.read() as session:
        deals = await owed_plans(session, viewer(request))
    return show(request, "shell/_owed_plans.html", owed_deals=deals, quick=QUICK)
