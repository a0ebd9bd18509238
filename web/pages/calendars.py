"""Working hours: calendars with their weeks and differing dates, whose they are, and holidays to enter."""

from collections.abc import Sequence
from datetime import date
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calendars.actions import CalendarChange, change_calendar, create_calendar, delete_calendar
from pbxcrm.calendars.drafts import calendars_after
from pbxcrm.calendars.holidays import FIRST_YEAR, LAST_YEAR, Suggestion, Suggestions, countries, suggest
from pbxcrm.calendars.models import CalendarDay
from pbxcrm.calendars.queries import CalendarDetails, access_calendar, default_calendar, list_calendars, load_calendars
from pbxcrm.calendars.rules import format_spans, timezones
from pbxcrm.checkpoints.hours_queries import look_at_hours
from pbxcrm.checkpoints.preview_jobs import Look
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from web import words
from web.answers import redirect
from web.formats import with_apostrophes
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.i18n import here
from web.pages.common import show, today
from web.parts import now, parts, viewer
from web.two_tabs import keep_typed

PATH = "/settings/calendars"
DAYS = [f"day_{weekday}" for weekday in range(7)]
BLANK_ROWS = 3  # empty rows for new dates


async def listed(request: Request) -> Response:
    """``GET /settings/calendars``."""
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        rows = await list_calendars(session, people)
        broken = (await load_calendars(session, people)).broken
    begins = today()
    upcoming = {row.calendar.id: [day for day in row.days if day.day >= begins][:3] for row in rows}
    return show(
        request, "calendars/list.html", rows=rows, people=people, upcoming=upcoming, weeks=_weeks(rows), broken=broken
    )


async def new(request: Request) -> Response:
    """``GET /settings/calendars/new``: a form filled in with the hours of the default calendar."""
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        default = await default_calendar(session)
        like = await access_calendar(session, default.id or 0, people) if default is not None else None
    values: dict[str, object] = {"timezone": like.calendar.timezone if like else ""}
    values |= dict(zip(DAYS, (format_spans(day) for day in like.week) if like else (), strict=False))
    return _page(request, filled(values), None, people)


async def create(request: Request) -> Response:
    """``POST /settings/calendars/new``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        people = await load_directory(session)
        try:
            change = _change(form, ())
            look = await _look(session, request, form, None, change)
            if _asks_first(form, look):
                return _page(request, form, None, people, _status(look), look)
            made = await create_calendar(
                session, viewer(request), change, now=now(request), begin_now=form["begin"] == "now"
            )
        except Invalid as error:
            form.refuse(error)
            return _page(request, form, None, people, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}/{made.calendar.id}", done="added")


async def one(request: Request) -> Response:
    """``GET /settings/calendars/12``: dates before this year are kept but not shown."""
    async with parts(request).db.read() as session:
        found, people = await _access(session, request)
        broken = (await load_calendars(session, people)).broken.get(found.calendar.id)
    shown = [day for day in found.days if day.day >= _first_shown(request)]
    values: dict[str, object] = {
        "name": found.calendar.name,
        "timezone": found.calendar.timezone,
        "version": found.calendar.version,
        "team": found.team_ids,
        "person": found.user_ids,
        "date": [day.day.isoformat() for day in shown],
        "hours": [day.spans for day in shown],
        "why": [day.name for day in shown],
    }
    values |= dict(zip(DAYS, map(format_spans, found.week), strict=True))
    form = filled(values)
    if broken is not None:
        field = "timezone" if broken.why.code == "calendar.no_zone" else ""
        form.errors[field] = " ".join(words.because(broken.why.stored()))
    return _page(request, form, found, people)


async def save(request: Request) -> Response:
    """``POST /settings/calendars/{id}``: save the whole calendar. Pending deadlines move in the same transaction."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        found, people = await _access(session, request)
    older = [day for day in found.days if day.day < _first_shown(request)]
    try:
        change, version = _change(form, older), form.number("version")
        async with parts(request).db.write() as session:
            look = await _look(session, request, form, found.calendar.id, change)
            if _asks_first(form, look):
                return _page(request, form, found, people, _status(look), look)
            await change_calendar(
                session,
                viewer(request),
                found.calendar.id or 0,
                change,
                now=now(request),
                version=version,
                begin_now=form["begin"] == "now",
            )
    except Invalid as error:
        form.refuse(_at_its_line(error, form, len(older)))
        return _page(request, form, found, people, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        return _page(request, form, found, people, keep_typed(form, error, found.calendar.version))
    return redirect(request, f"{PATH}/{found.calendar.id}", done="saved")


async def _look(
    session: AsyncSession, request: Request, form: Form, calendar_id: int | None, change: CalendarChange
) -> Look | None:
    """What saving would do to the lamps; None if it was said and the answer is chosen. Raises Invalid at the wrong field."""
    if form["begin"] and form["act"] != "try":
        return None
    return await look_at_hours(session, await calendars_after(session, calendar_id, change), now(request))


def _asks_first(form: Form, look: Look | None) -> bool:
    """Whether the page is shown again with the look: it was asked for, or lamps would light at once."""
    if look is None or (form["act"] != "try" and not look.would_light):
        return False
    if form["act"] != "try":
        form.errors["begin"] = _("Choose what happens to them, then save.")
    return True


def _status(look: Look | None) -> int:
    return HTTPStatus.UNPROCESSABLE_ENTITY if look is not None and look.would_light else HTTPStatus.OK


async def delete(request: Request) -> Response:
    """``POST /settings/calendars/{id}/delete``. Refused while people or teams use it."""
    async with parts(request).db.write() as session:
        await delete_calendar(session, viewer(request), request.path_params["calendar_id"], now=now(request))
    return redirect(request, PATH, done="deleted")


async def holidays(request: Request) -> Response:
    """``GET …/holidays?country=UA&year=2027``: the days that the library knows, to review before entering; without a country only the form."""
    return await _holidays(request)


async def _holidays(
    request: Request, asked: Form | None = None, look: Look | None = None, status: int = 200
) -> HTMLResponse:
    """``asked``: the ticked days that would light lamps at once, as ``look`` says."""
    async with parts(request).db.read() as session:
        found, people = await _access(session, request)
        working = (await load_calendars(session, people)).of_calendar(found.calendar.id or 0)
    year = now(request).astimezone(here().timezone).year
    form = asked or filled(
        {
            "country": request.query_params.get("country", parts(request).settings.region),
            "year": request.query_params.get("year", year),
        }
    )
    suggested: Suggestions | None = None
    try:
        if asked is not None or "country" in request.query_params:
            suggested = suggest(form["country"], form.number("year") or 0, here().language.value, working)
    except Invalid as error:
        form.refuse(error)
    return show(
        request,
        "calendars/holidays.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else status,
        form=form,
        look=look,
        ticked=form.all("day") if asked is not None else None,
        calendar=found.calendar,
        suggested=suggested,
        known={day.day for day in found.days},
        countries=_countries(),
        years=(max(FIRST_YEAR, year - 1), min(LAST_YEAR, year + 3)),
    )


async def enter_holidays(request: Request) -> Response:
    """``POST``: enter the ticked days. A day that is there already is replaced."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        found, people = await _access(session, request)
        working = (await load_calendars(session, people)).of_calendar(found.calendar.id or 0)
        suggested = suggest(form["country"], form.number("year") or 0, here().language.value, working)
        chosen = {(row.day, row.kind.value): row for row in suggested.rows}
        ticked = [row for key, row in chosen.items() if f"{key[0].isoformat()} {key[1]}" in form.all("day")]
        change = CalendarChange(days=_entered(found.days, ticked))
        look = await _look(session, request, form, found.calendar.id, change)
        if not _asks_first(form, look):
            await change_calendar(
                session,
                viewer(request),
                found.calendar.id or 0,
                change,
                now=now(request),
                begin_now=form["begin"] == "now",
            )
            look = None
    if look is not None:
        return await _holidays(request, form, look, _status(look))
    return redirect(request, f"{PATH}/{found.calendar.id}", done="saved")


def _entered(days: Sequence[CalendarDay], ticked: Sequence[Suggestion]) -> list[tuple[date, str, str]]:
    rows = {day.day: (day.day, day.spans, day.name) for day in days}
    rows.update({row.day: (row.day, row.spans, row.name) for row in ticked})
    return list(rows.values())


async def _access(session: AsyncSession, request: Request) -> tuple[CalendarDetails, Directory]:
    people = await load_directory(session)
    return await access_calendar(session, request.path_params["calendar_id"], people), people


def _change(form: Form, older: Sequence[CalendarDay]) -> CalendarChange:
    """The calendar of the form, with the ``older`` dates that the form does not show. Raises Invalid at a wrong date."""
    days = [(day.day, day.spans, day.name) for day in older]
    for number, (day, hours, name) in enumerate(_rows(form)):
        if not (day.strip() or hours.strip() or name.strip()):
            continue
        try:
            days.append((date.fromisoformat(day.strip()), hours, name))
        except ValueError:
            raise Invalid(f"days_{number}", "calendars.day", "Choose a date.") from None
    return CalendarChange(
        name=form["name"],
        timezone=form["timezone"],
        week=[form[name] for name in DAYS],
        days=days,
        team_ids=form.ids("team"),
        user_ids=form.ids("person"),
    )


def _at_its_line(error: Invalid, form: Form, older: int) -> Invalid:
    """Move an error about a day to its line in the form. The rules count the older days too, and no empty lines."""
    name, _, number = error.field.partition("_")
    if name == "days" and number and error.code != "calendars.day":
        lines = [line for line, row in enumerate(_rows(form)) if any(map(str.strip, row))]
        error.field = f"days_{lines[int(number) - older]}"
    return error


def _rows(form: Form) -> list[tuple[str, str, str]]:
    return list(zip(form.all("date"), form.all("hours"), form.all("why"), strict=False))


def _first_shown(request: Request) -> date:
    return date(now(request).astimezone(here().timezone).year, 1, 1)


def _weeks(rows: Sequence[CalendarDetails]) -> dict[int | None, list[tuple[str, str]]]:
    """The week of each calendar as text, with days of the same hours in one line."""
    names = here().locale.days["stand-alone"]["abbreviated"]
    weeks: dict[int | None, list[tuple[str, str]]] = {}
    for row in rows:
        lines: list[tuple[int, int, str]] = []
        for weekday, spans in enumerate(map(format_spans, row.week)):
            if lines and lines[-1][2] == spans:
                lines[-1] = (lines[-1][0], weekday, spans)
            elif spans:
                lines.append((weekday, weekday, spans))
        weeks[row.calendar.id] = [
            (with_apostrophes(names[first] if first == last else f"{names[first]}–{names[last]}"), spans)
            for first, last, spans in lines
        ]
    return weeks


def _countries() -> list[tuple[str, str]]:
    names = here().locale.territories
    return sorted(((code, with_apostrophes(names.get(code, code))) for code in countries()), key=lambda each: each[1])


def _page(
    request: Request,
    form: Form,
    found: CalendarDetails | None,
    people: Directory,
    status: int = 200,
    look: Look | None = None,
) -> HTMLResponse:
    names = here().locale.days["stand-alone"]["wide"]
    days = [(name, with_apostrophes(names[weekday]).capitalize()) for weekday, name in enumerate(DAYS)]
    known = timezones() if form["timezone"] in timezones() else (form["timezone"], *timezones())
    zones = [(zone, zone.replace("_", " ")) for zone in known]
    rows = [*_rows(form), *[("", "", "")] * BLANK_ROWS]
    return show(
        request,
        "calendars/one.html",
        status=status,
        form=form,
        found=found,
        look=look,
        days=days,
        zones=zones,
        rows=rows,
        teams=sorted(people.teams.values(), key=lambda team: team.name.lower()),
        users=sorted((user for user in people.users.values() if user.is_active), key=lambda user: user.name.lower()),
    )
