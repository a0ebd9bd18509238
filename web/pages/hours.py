"""Working hours: the week in which norms, pauses and attempts are counted."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calendars.actions import change_week
from pbxcrm.calendars.queries import default_calendar, week_of
from pbxcrm.calendars.rules import format_spans, timezones
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import here
from web.pages.common import show
from web.parts import now, parts, viewer

PATH = "/settings/hours"
_DAYS = [f"day_{weekday}" for weekday in range(7)]


async def page(request: Request) -> Response:
    """``GET /settings/hours``."""
    async with parts(request).db.read() as session:
        calendar = await default_calendar(session)
        week = await week_of(session, calendar.id or 0) if calendar is not None else ()
    values: dict[str, object] = {name: format_spans(day) for name, day in zip(_DAYS, week, strict=False)}
    values["timezone"] = calendar.timezone if calendar is not None else ""
    return _page(request, filled(values))


async def save(request: Request) -> Response:
    """``POST``: the whole week at once; pending deadlines move in the same transaction."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            week = [form[name] for name in _DAYS]
            await change_week(session, viewer(request), week, form["timezone"], now=now(request))
    except Invalid as error:
        form.refuse(error)
        return _page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, PATH, done="saved")


def _page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    names = here().locale.days["stand-alone"]["wide"]
    days = [(name, names[weekday].capitalize()) for weekday, name in enumerate(_DAYS)]
    known = timezones() if form["timezone"] in timezones() else (form["timezone"], *timezones())
    zones = [(zone, zone.replace("_", " ")) for zone in known]
    return show(request, "hours/week.html", status=status, form=form, days=days, zones=zones)
