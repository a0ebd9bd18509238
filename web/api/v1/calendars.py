"""Working time: calendars and calculations with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from math import isclose
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from pbxcrm.access import Permission
from pbxcrm.calendars.actions import CalendarChange, change_calendar, create_calendar, delete_calendar
from pbxcrm.calendars.drafts import calendars_after
from pbxcrm.calendars.holidays import SuggestionKind, suggest
from pbxcrm.calendars.models import Calendar, CalendarDay
from pbxcrm.calendars.queries import CalendarDetails, access_calendar, list_calendars, load_calendars
from pbxcrm.calendars.rules import MOST_DAYS, format_spans
from pbxcrm.checkpoints.hours_queries import look_at_hours
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from web.api.fields import (
    COUNTRY,
    NO_NUL,
    ApiAnswer,
    ApiRequest,
    Id,
    Login,
    Moment,
    ShortListQuery,
    Version,
    When,
    needed_text,
    optional_text,
)
from web.api.resource import Ask, Page, Resource

calendars = Resource("calendars", "Working time: weeks of hours, the dates that differ, and calculations with them.")

BEGIN_NOW = "Lamps that would light at once only because of the new hours are counted from now."
MOST_MINUTES = 20 * 366 * 24 * 60
MOST_DAYS_SHIFTED = 20 * 366


def _in_our_age(day: date) -> date:
    if not 1970 <= day.year < 2200:
        raise ValueError("the year must lie between 1970 and 2199")
    return day


Hours = Annotated[
    str, Field(max_length=longest(CalendarDay.spans), pattern=NO_NUL, examples=["09:00-13:00, 14:00-18:00"])
]
"""Working hours of a day; empty: a day off. An end that is not later than its beginning is on the next day."""
Day = Annotated[date, Field(strict=False), AfterValidator(_in_our_age)]


class DayBody(ApiRequest):
    """A date that is not like its weekday."""

    day: Day
    spans: Hours = ""
    name: Annotated[str, optional_text(CalendarDay.name)] = ""


class DayOut(ApiAnswer):
    """A date that is not like its weekday."""

    day: date
    spans: str
    name: str


class CalendarOut(ApiAnswer):
    """Working hours of people and teams."""

    id: int
    name: str
    timezone: str = Field(description="IANA name.")
    is_default: bool = Field(description="Whether it applies to everybody without another calendar.")
    week: list[str] = Field(description="The hours of Monday … Sunday; empty: a day off.")
    days: list[DayOut] = Field(description="Dates that differ, in order.")
    team_ids: list[int]
    people: list[str] = Field(description="Logins of people with this personal calendar.")
    version: int


class NewCalendar(ApiRequest):
    """A new calendar. Without people or teams nobody uses it."""

    name: Annotated[str, needed_text(Calendar.name)]
    timezone: Annotated[str, optional_text(Calendar.timezone)]
    week: Annotated[list[Hours], Field(min_length=7, max_length=7)]
    days: list[DayBody] = Field(default_factory=list, max_length=MOST_DAYS)
    team_ids: list[Id] | None = None
    people: list[Login] | None = None
    begin_now: bool = Field(False, description=BEGIN_NOW)


class CalendarPatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: Annotated[str, needed_text(Calendar.name)] | None = None
    timezone: Annotated[str, optional_text(Calendar.timezone)] | None = None
    week: Annotated[list[Hours], Field(min_length=7, max_length=7)] | None = None
    days: Annotated[list[DayBody], Field(max_length=MOST_DAYS)] | None = None
    team_ids: list[Id] | None = None
    people: list[Login] | None = None
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    begin_now: bool = Field(False, description=BEGIN_NOW)


class HoursPreviewOut(ApiAnswer):
    """What other working hours would do to the lamps."""

    deals: int = Field(description="Watched deals whose lamps would be due at another time, or would be counted again.")
    callbacks: int = Field(description="The same for missed calls.")
    would_light_now: int = Field(description="Lamps that would light at once.")


@calendars.get("/calendars", needs=Permission.OWN_PROFILE, summary="All calendars, the default first")
async def read_calendars(ask: Ask, query: ShortListQuery) -> Page[CalendarOut]:
    """All calendars, on one page unless you ask for less."""
    people = await load_directory(ask.session)
    rows = await list_calendars(ask.session, people)
    return Page[CalendarOut].part_of([_calendar(row, people) for row in rows], query)


@calendars.get("/calendars/{calendar_id}", needs=Permission.OWN_PROFILE, summary="One calendar")
async def read_calendar(ask: Ask, calendar_id: int) -> CalendarOut:
    people = await load_directory(ask.session)
    return _calendar(await access_calendar(ask.session, calendar_id, people), people)


@calendars.post(
    "/calendars",
    needs=Permission.SETTINGS_EDIT,
    summary="Make a calendar",
    location=lambda made: f"/calendars/{made.id}",
)
async def post_calendar(ask: Ask, body: NewCalendar) -> CalendarOut:
    change = await _change(ask, body)
    with _errors_at_members():
        made = await create_calendar(ask.session, ask.viewer, change, now=ask.now, begin_now=body.begin_now)
    return _calendar(made, await load_directory(ask.session))


@calendars.patch("/calendars/{calendar_id}", needs=Permission.SETTINGS_EDIT, summary="Change a calendar")
async def patch_calendar(ask: Ask, calendar_id: int, body: CalendarPatch) -> CalendarOut:
    """`week`, `days`, `team_ids` and `people` replace what was there. Pending deadlines move in the same transaction."""
    change = await _change(ask, body)
    with _errors_at_members():
        found = await change_calendar(
            ask.session,
            ask.viewer,
            calendar_id,
            change,
            now=ask.now,
            version=body.version,
            begin_now=body.begin_now,
        )
    return _calendar(found, await load_directory(ask.session))


@calendars.post(
    "/calendars/{calendar_id}/preview",
    needs=Permission.SETTINGS_EDIT,
    summary="What other hours would do to the lamps",
    status=200,
)
async def preview_calendar(ask: Ask, calendar_id: int, body: CalendarPatch) -> HoursPreviewOut:
    """Send what you would send with PATCH: nothing is stored. `begin_now` changes nothing here."""
    change = await _change(ask, body)
    with _errors_at_members():
        look = await look_at_hours(ask.session, await calendars_after(ask.session, calendar_id, change), ask.now)
    return HoursPreviewOut(deals=look.deals, callbacks=look.callbacks, would_light_now=look.would_light or 0)


@calendars.delete(
    "/calendars/{calendar_id}", needs=Permission.SETTINGS_EDIT, summary="Delete a calendar", conflicts=True
)
async def remove_calendar(ask: Ask, calendar_id: int) -> None:
    """Only a calendar that nobody uses can be deleted, and never the default one."""
    await delete_calendar(ask.session, ask.viewer, calendar_id, now=ask.now)


class Reckoning(ApiRequest):
    """`dateadd` (by the clock) and `workdateadd` (working time) need `minutes`, `addworkdays` needs `days`, `between` needs `to`;
    `next_morning` needs nothing more. `add` is `workdateadd`, `add_days` is `addworkdays`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    op: Literal["dateadd", "workdateadd", "addworkdays", "add", "add_days", "between", "next_morning"] = Field(
        description="`dateadd workdateadd addworkdays` mean what they mean in formulas."
    )
    since: When = Field(alias="from")
    to: When | None = None
    minutes: Annotated[float, Field(ge=-MOST_MINUTES, le=MOST_MINUTES, strict=False)] | None = Field(
        None, description="Minutes, of working time for `workdateadd`; negative: before `from`."
    )
    days: Annotated[int, Field(ge=-MOST_DAYS_SHIFTED, le=MOST_DAYS_SHIFTED)] | None = Field(
        None, description="Working days; negative: before `from`."
    )

    def check_complete(self) -> None:
        """Raises Invalid at what is missing, or at what this operation does not take."""
        needed = {"dateadd": "minutes", "workdateadd": "minutes", "addworkdays": "days", "between": "to"}.get(self.does)
        given = {name for name in ("minutes", "to", "days") if getattr(self, name) is not None}
        if needed and needed not in given:
            raise Invalid(needed, "calendars.reckon", "{op} needs {name}.", op=self.op, name=needed)
        if too_much := sorted(given - {needed}):
            raise Invalid(
                too_much[0], "calendars.reckon_takes", "{op} does not take {name}.", op=self.op, name=too_much[0]
            )

    @property
    def does(self) -> str:
        """The operation by its name in formulas."""
        return {"add": "workdateadd", "add_days": "addworkdays"}.get(self.op, self.op)


class Reckoned(ApiAnswer):
    """The result of adding or counting working time."""

    at: Moment | None = Field(description="The result of all but `between`.")
    minutes: float | None = Field(
        description="The result of `between` in working minutes; negative if `to` is earlier."
    )


@calendars.post(
    "/calendars/{calendar_id}/reckon",
    needs=Permission.OWN_PROFILE,
    summary="Add and count working time",
    status=200,
)
async def reckon(ask: Ask, calendar_id: int, body: Reckoning) -> Reckoned:
    """A calculation only: nothing is changed."""
    body.check_complete()
    people = await load_directory(ask.session)
    await access_calendar(ask.session, calendar_id, people)
    working = (await load_calendars(ask.session, people)).of_calendar(calendar_id)
    if body.does == "between" and body.to is not None:
        passed = working.minutes_between(*sorted((body.since, body.to)))
        return Reckoned(at=None, minutes=passed if body.to >= body.since else -passed)
    try:
        if body.does == "dateadd":
            return Reckoned(at=body.since + timedelta(minutes=body.minutes or 0), minutes=None)
        if body.does == "workdateadd":
            found = working.add_minutes(body.since, body.minutes or 0)
            counted = working.minutes_between(*sorted((body.since, found)))
            if isclose(counted, abs(body.minutes or 0), abs_tol=0.01):
                return Reckoned(at=found, minutes=None)
            raise _too_far(body)  # the calculation ended at its horizon
        if body.does == "addworkdays":
            return Reckoned(at=working.add_days(body.since, body.days or 0), minutes=None)
        return Reckoned(at=working.next_morning(body.since), minutes=None)
    except (OverflowError, ValueError):
        raise _too_far(body) from None


def _too_far(body: Reckoning) -> Invalid:
    member = "days" if body.does == "addworkdays" else "minutes"
    return Invalid(member, "calendars.too_far", "This is too far away to calculate.")


class SuggestionOut(ApiAnswer):
    """A suggested date that differs, with the reason."""

    day: date
    spans: str
    name: str
    kind: SuggestionKind
    is_chosen: bool = Field(description="Whether it is selected by default.")


class SuggestionsOut(ApiAnswer):
    """Suggested dates to review and enter, and what is unknown about the year."""

    items: list[SuggestionOut]
    next: None = Field(description="Always null: they are one page.")
    lacks: list[str] = Field(description="What is unknown: `no_moved_days`, `all_suspended`.")


class SuggestionQuery(ApiRequest):
    """Which country and year."""

    country: Annotated[str, Field(pattern=COUNTRY, examples=["UA"])]
    year: Annotated[int, Field(ge=2000, le=2100, strict=False)]


@calendars.get(
    "/calendars/{calendar_id}/holidays", needs=Permission.SETTINGS_EDIT, summary="Holidays to look at and enter"
)
async def read_holidays(ask: Ask, calendar_id: int, query: SuggestionQuery) -> SuggestionsOut:
    """Nothing is stored: send the days you want with PATCH."""
    people = await load_directory(ask.session)
    await access_calendar(ask.session, calendar_id, people)
    working = (await load_calendars(ask.session, people)).of_calendar(calendar_id)
    found = suggest(query.country, query.year, ask.viewer.language or "en", working)
    return SuggestionsOut(
        next=None,
        items=[
            SuggestionOut(day=row.day, spans=row.spans, name=row.name, kind=row.kind, is_chosen=row.is_chosen)
            for row in found.rows
        ],
        lacks=[lack.value for lack in found.lacks],
    )


async def _change(ask: Ask, body: NewCalendar | CalendarPatch) -> CalendarChange:
    user_ids = None
    if body.people is not None:
        by_login = {user.login: user.id for user in (await load_directory(ask.session)).users.values()}
        user_ids = [by_login.get(login.lower()) or 0 for login in body.people]
    return CalendarChange(
        name=body.name,
        timezone=body.timezone,
        week=body.week,
        days=None if body.days is None else [(each.day, each.spans, each.name) for each in body.days],
        team_ids=body.team_ids,
        user_ids=user_ids,
    )


@contextmanager
def _errors_at_members() -> Iterator[None]:
    """Name errors by the members of the body: the form's ``day_0`` is ``week.0`` here, its ``days_0`` is ``days.0``."""
    try:
        yield
    except Invalid as error:
        for of_form, member in (("day_", "week."), ("days_", "days.")):
            if error.field.startswith(of_form):
                error.field = member + error.field.removeprefix(of_form)
                break
        raise


def _calendar(found: CalendarDetails, people: Directory) -> CalendarOut:
    calendar = found.calendar
    return CalendarOut(
        id=calendar.id or 0,
        name=calendar.name,
        timezone=calendar.timezone,
        is_default=calendar.is_default,
        week=[format_spans(day) for day in found.week],
        days=[DayOut(day=each.day, spans=each.spans, name=each.name) for each in found.days],
        team_ids=found.team_ids,
        people=[login for user_id in found.user_ids if (login := people.login(user_id)) is not None],
        version=calendar.version,
    )
