"""Changes calendars; pending deadlines move in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.hooks import calendar_changed
from pbxcrm.calendars.models import Calendar, CalendarDay, CalendarSpan
from pbxcrm.calendars.queries import CalendarDetails, access_calendar
from pbxcrm.calendars.rules import DifferingDay, check_days, check_name, check_timezone, check_week, format_spans
from pbxcrm.calendars.working_time import Span
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import Team, User
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.locking import lock_row


@dataclass(frozen=True, slots=True)
class CalendarChange:
    """A change of a calendar; None: no change. ``week`` has seven texts, Monday first; ``days`` replaces all dates."""

    name: str | None = None
    timezone: str | None = None
    week: Sequence[str] | None = None
    days: Sequence[tuple[date, str, str]] | None = None  # (date, hours, name)
    team_ids: Sequence[int] | None = None  # the teams that use it; former ones fall back to the default
    user_ids: Sequence[int] | None = None


async def create_calendar(
    session: AsyncSession, viewer: Viewer, change: CalendarChange, *, now: datetime, begin_now: bool = False
) -> CalendarDetails:
    """Add a calendar; ``name``, ``timezone`` and ``week`` are required. Raises Invalid for a wrong field. ``begin_now``: what would be
    late only by the new hours is counted from now.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    name = await _check_free_name(session, change.name or "", None)
    check_timezone(change.timezone or "")
    check_week(change.week or ())
    calendar = Calendar(name=name, timezone=change.timezone or "", version=0)
    session.add(calendar)
    await session.flush()
    return await _change(session, viewer, calendar, change, now, "calendar.created", begin_now)


async def change_calendar(
    session: AsyncSession,
    viewer: Viewer,
    calendar_id: int,
    change: CalendarChange,
    *,
    now: datetime,
    version: int | None = None,
    begin_now: bool = False,
) -> CalendarDetails:
    """Change a calendar. Raises Invalid at ``name``, ``timezone``, ``day_0`` … ``day_6``, ``days_0`` …; Conflict for an old ``version``.

    ``begin_now``: what would be late only by the new hours is counted from now.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    people = await load_directory(session)
    await access_calendar(session, calendar_id, people)
    calendar = await lock_row(session, Calendar, calendar_id)
    if version is not None and calendar.version != version:
        raise Conflict("calendars.stale", "Somebody else has changed this calendar meanwhile. Look at it again.")
    return await _change(session, viewer, calendar, change, now, "calendar.changed", begin_now)


async def delete_calendar(session: AsyncSession, viewer: Viewer, calendar_id: int, *, now: datetime) -> None:
    """Delete an unused calendar; raises Conflict for the default one and for one that a team or person uses."""
    check(viewer, Permission.SETTINGS_EDIT)
    found = await access_calendar(session, calendar_id, await load_directory(session))
    if found.calendar.is_default:
        raise Conflict("calendars.default", "This is the calendar of everybody who has no other: it has to stay.")
    if found.team_ids or found.user_ids:
        raise Conflict("calendars.in_use", "Somebody works by this calendar. Give them another one first.")
    await session.delete(found.calendar)
    record(session, now, "calendar.deleted", "calendar", calendar_id, actor=viewer, name=found.calendar.name)


async def _change(
    session: AsyncSession,
    viewer: Viewer,
    calendar: Calendar,
    change: CalendarChange,
    now: datetime,
    action: str,
    begin_now: bool,
) -> CalendarDetails:
    assert calendar.id is not None
    before = await access_calendar(session, calendar.id, await load_directory(session))
    said_before = _said(before, before.calendar.name, before.calendar.timezone)
    if change.name is not None:
        calendar.name = await _check_free_name(session, change.name, calendar.id)
    if change.timezone is not None:  # also the stored one: the tzdata of this machine may not know it
        check_timezone(change.timezone)
        calendar.timezone = change.timezone
    if change.week is not None:
        await _set_week(session, calendar.id, check_week(change.week))
    if change.days is not None:
        await _set_days(session, calendar.id, check_days(change.days))
    if change.team_ids is not None or change.user_ids is not None:
        await _set_whose(session, calendar.id, change, await load_directory(session))
    await session.flush()
    after = await access_calendar(session, calendar.id, await load_directory(session))
    said_after = _said(after, calendar.name, calendar.timezone)
    if said_after != said_before:
        calendar.version += 1
        changed = sorted(key for key, value in said_after.items() if value != said_before[key])
        kept = {key: said_before[key] for key in changed}, {key: said_after[key] for key in changed}
        record(session, now, action, "calendar", calendar.id, actor=viewer, before=kept[0], after=kept[1])
        await session.flush()
        await calendar_changed(session, now, begin_now)
    return after


async def _check_free_name(session: AsyncSession, name: str, own_id: int | None) -> str:
    name = check_name(name)
    same = (await session.exec(select(Calendar.id).where(Calendar.name == name))).first()
    if same is not None and same != own_id:
        raise Invalid("name", "calendars.name_taken", "There is a calendar of this name already.")
    return name


async def _set_week(session: AsyncSession, calendar_id: int, week: Sequence[Sequence[Span]]) -> None:
    await session.exec(delete(CalendarSpan).where(col(CalendarSpan.calendar_id) == calendar_id))
    for weekday, day in enumerate(week):
        for start, end in day:
            session.add(CalendarSpan(calendar_id=calendar_id, weekday=weekday, start_minute=start, end_minute=end))


async def _set_days(session: AsyncSession, calendar_id: int, days: Sequence[DifferingDay]) -> None:
    await session.exec(delete(CalendarDay).where(col(CalendarDay.calendar_id) == calendar_id))
    for each in days:
        session.add(CalendarDay(calendar_id=calendar_id, day=each.day, spans=format_spans(each.spans), name=each.name))


def check_whose(change: CalendarChange, people: Directory) -> None:
    """Raise Invalid at ``team_ids`` or ``people`` for a team or person that does not exist."""
    if not set(change.team_ids or ()) <= set(people.teams):
        raise Invalid("team_ids", "calendars.no_team", "There is no such team any more.")
    if not set(change.user_ids or ()) <= set(people.users):
        raise Invalid("people", "calendars.no_person", "There is no such person any more.")


async def _set_whose(session: AsyncSession, calendar_id: int, change: CalendarChange, people: Directory) -> None:
    check_whose(change, people)
    if change.team_ids is not None:
        await session.exec(update(Team).where(col(Team.calendar_id) == calendar_id).values(calendar_id=None))
        await session.exec(update(Team).where(col(Team.id).in_(change.team_ids)).values(calendar_id=calendar_id))
    if change.user_ids is not None:
        await session.exec(update(User).where(col(User.calendar_id) == calendar_id).values(calendar_id=None))
        await session.exec(update(User).where(col(User.id).in_(change.user_ids)).values(calendar_id=calendar_id))


def _said(found: CalendarDetails, name: str, timezone: str) -> dict[str, object]:
    """The calendar's values for the audit log."""
    return {
        "name": name,
        "timezone": timezone,
        "week": [format_spans(day) for day in found.week],
        "days": [[each.day.isoformat(), each.spans, each.name] for each in found.days],
        "teams": found.team_ids,
        "people": found.user_ids,
    }
