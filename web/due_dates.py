"""Until when something is to be done, as forms ask for it: a quick choice or a date and time."""

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from web.forms import Form
from web.parts import now, viewer

QUICK = (("10m", N_("in 10 min")), ("2h", N_("in 2 hours")), ("morning", N_("tomorrow morning")))
QUICK_SPANS = {"10m": timedelta(minutes=10), "2h": timedelta(hours=2)}


async def due_of(session: AsyncSession, request: Request, form: Form, user_id: int | None) -> datetime:
    """When it is due: a quick choice of the button that was pressed, else the field. Raises Invalid."""
    quick = form["quick"]
    if quick in QUICK_SPANS:
        return now(request) + QUICK_SPANS[quick]
    if quick == "morning":
        calendars = await load_calendars(session, await load_directory(session))
        return calendars.of_user(user_id or viewer(request).user_id).next_morning(now(request))
    due_at = form.utc_time("due_at")
    if due_at is None:
        raise Invalid("due_at", "tasks.due", "Say until when it is to be done.")
    return due_at
