"""The hint below a deadline field: how the typed text was understood."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.checkpoints.rules import SHORTEST_PLAN
from pbxcrm.deals.queries import access_deal, load_funnel
from pbxcrm.people.queries import access_user
from pbxcrm.shared.errors import Invalid
from web.due_dates import deadline_of
from web.i18n import gettext as _
from web.pages.common import asked_id, asked_text, show
from web.parts import now, parts, viewer

FIELDS = ("due_at", "next_due_at", "until")


async def understood(request: Request) -> HTMLResponse:
    """``GET /due?due_at=&assignee_id=&deal_id=``: the date and time in words, or what can be typed. ``deal_id``: of a next task."""
    text = next((said for name in FIELDS if (said := asked_text(request, name))), "")
    who, deal_id = asked_id(request, "assignee_id"), asked_id(request, "deal_id")
    error, at, again, days, is_too_soon = "", None, None, 0, False
    async with parts(request).db.read() as session:
        owner = await access_user(session, viewer(request), who) if who is not None else None
        deal = await access_deal(session, viewer(request), deal_id) if deal_id is not None else None
        try:
            at = await deadline_of(session, request, text, owner.id if owner is not None else None)
        except Invalid as refused:
            error = _(refused.message)
        if deal is not None and at is not None:
            days = (await load_funnel(session)).pipelines[deal.pipeline_id].longest_plan_days
            latest = now(request) + timedelta(days=days)
            again = latest if at > latest else None
            is_too_soon = at < now(request) + SHORTEST_PLAN
    return show(
        request, "tasks/_due.html", at=at, error=error if text else "", again=again, days=days, is_too_soon=is_too_soon
    )
