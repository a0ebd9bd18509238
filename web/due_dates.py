"""Deadlines in forms: a quick choice, or a text in people's own words."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from web.forms import Form
from web.i18n import here
from web.parts import now, viewer

QUICK = (("10m", N_("in 10 min")), ("2h", N_("in 2 hours")), ("morning", N_("tomorrow morning")))
QUICK_SAID = {"10m": "in 10 min", "2h": "in 2 h", "morning": "tomorrow morning"}


async def due_of(session: AsyncSession, request: Request, form: Form, user_id: int | None) -> datetime:
    """The deadline of a form: the quick choice of the pressed button, else the field ``due_at``. Raises Invalid."""
    return await deadline_of(session, request, QUICK_SAID.get(form["quick"]) or form["due_at"], user_id)


async def deadline_of(
    session: AsyncSession, request: Request, text: str, user_id: int | None, field: str = "due_at"
) -> datetime:
    """The typed deadline in the calendar of ``user_id`` (else of the viewer). Raises Invalid at ``field``."""
    if not text:
        raise Invalid(field, "tasks.due", "Say until when it is to be done.")
    calendars = await load_calendars(session, await load_directory(session))
    found = read_deadline(text, now(request), calendars.of_user(user_id or viewer(request).user_id), here().timezone)
    if found is None:
        raise Invalid(field, "tasks.due_words", "Write a time like “tomorrow 15:00”, “in 2 h” or “27.11.2026”.")
    return found


def deadline_text(at: datetime | None) -> str:
    """A time in the format that the field shows and can parse, in the reader's time zone."""
    return at.astimezone(here().timezone).strftime("%d.%m.%Y %H:%M") if at is not None else ""
