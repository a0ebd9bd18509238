"""A new or changed calendar as everybody would work by it, without storing it: to say what a change would do before it is saved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.actions import CalendarChange, check_whose
from pbxcrm.calendars.queries import Calendars, access_calendar, load_calendars
from pbxcrm.calendars.rules import check_days, check_timezone, check_week
from pbxcrm.calendars.working_time import Span, WorkingTime
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Team, User

NEW = 0  # the id of a calendar that is not stored


async def calendars_after(session: AsyncSession, calendar_id: int | None, change: CalendarChange) -> Calendars:
    """All calendars as they would be after the change; None: of a new calendar. Raises Invalid at the wrong field, NotFound."""
    people = await load_directory(session)
    before = await load_calendars(session, people)
    found = await access_calendar(session, calendar_id, people) if calendar_id is not None else None
    timezone = change.timezone if change.timezone is not None else (found.calendar.timezone if found else "")
    check_timezone(timezone)
    week: tuple[tuple[Span, ...], ...] = found.week if found is not None else ()
    if change.week is not None or found is None:
        week = tuple(tuple(day) for day in check_week(change.week or ()))
    known = before.of_calendar(calendar_id).days if calendar_id is not None else {}
    days: Mapping[date, tuple[Span, ...]] = known
    if change.days is not None:
        days = {each.day: tuple(each.spans) for each in check_days(change.days)}
    own_id = calendar_id if calendar_id is not None else NEW
    hours = WorkingTime(ZoneInfo(timezone), week, days)
    is_default = found is not None and found.calendar.is_default
    return replace(
        before,
        by_id={**before.by_id, own_id: hours},
        default=hours if is_default else before.default,
        people=_people_after(people, own_id, change),
    )


def _people_after(people: Directory, own_id: int, change: CalendarChange) -> Directory:
    """The directory with the teams and people that would use the calendar. Raises Invalid at ``team_ids`` or ``people``."""
    check_whose(change, people)
    teams, users = dict(people.teams), dict(people.users)
    if change.team_ids is not None:
        for id_, team in people.teams.items():
            if (id_ in change.team_ids) != (team.calendar_id == own_id):
                teams[id_] = Team(**{**team.model_dump(), "calendar_id": own_id if id_ in change.team_ids else None})
    if change.user_ids is not None:
        for id_, user in people.users.items():
            if (id_ in change.user_ids) != (user.calendar_id == own_id):
                users[id_] = User(**{**user.model_dump(), "calendar_id": own_id if id_ in change.user_ids else None})
    return replace(people, teams=teams, users=users)
