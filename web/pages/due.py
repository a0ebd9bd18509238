"""The hint below a deadline field: how the typed text was understood."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.people.queries import access_user
from pbxcrm.shared.errors import Invalid
from web.due_dates import deadline_of
from web.i18n import gettext as _
from web.pages.common import asked_id, asked_text, show
from web.parts import parts, viewer

FIELDS = ("due_at", "next_due_at", "until")


async def understood(request: Request) -> HTMLResponse:
    """``GET /due?due_at=&assignee_id=``: the date and time in words, or what can be typed."""
    text = next((said for name in FIELDS if (said := asked_text(request, name))), "")
    who = asked_id(request, "assignee_id")
    error, at = "", None
    async with parts(request).db.read() as session:
        owner = await access_user(session, viewer(request), who) if who is not None else None
        try:
            at = await deadline_of(session, request, text, owner.id if owner is not None else None)
        except Invalid as refused:
            error = _(refused.message)
    return show(request, "tasks/_due.html", at=at, error=error if text else "")
