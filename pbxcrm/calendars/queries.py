"""Queries on calendars and leaves: whose working time it is, and who stands in for whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.models import Calendar, CalendarDay, CalendarSpan, Leave
from pbxcrm.calendars.rules import parse_spans
from pbxcrm.calendars.working_time import DAY, ROUND_THE_CLOCK, Span, WorkingTime
from pbxcrm.people.directory import Directory
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.reasons import Reason, reason


@dataclass(frozen=True, slots=True)
class BrokenCalendar:
    """A calendar whose stored hours cannot be trusted, and why."""

    calendar_id: int
    why: Reason


@dataclass(frozen=True, slots=True)
class Calendars:
    """All calendars and leaves. A person works by their own calendar, else the team's, else the default one."""

    by_id: Mapping[int, WorkingTime]
    default: WorkingTime
    people: Directory
    leaves: Mapping[int, tuple[Leave, ...]] = field(default_factory=dict)  # user id -> leaves in order of time
    broken: Mapping[int | None, BrokenCalendar] = field(default_factory=dict)  # by calendar id; None: the default one

    def of_user(self, user_id: int | None) -> WorkingTime:
        """The person's working time: their own calendar, their team's, or the default."""
        user = self.people.users.get(user_id) if user_id is not None else None
        if user is None:
            return self.default
        own = self.by_id.get(user.calendar_id) if user.calendar_id is not None else None
        return own or self.of_team(user.team_id)

    def of_team(self, team_id: int | None) -> WorkingTime:
        """The team's working time, or the default."""
        team = self.people.teams.get(team_id) if team_id is not None else None
        theirs = self.by_id.get(team.calendar_id) if team is not None and team.calendar_id is not None else None
        return theirs or self.default

    def of_calendar(self, calendar_id: int) -> WorkingTime:
        """The working time of a calendar; the default for one that cannot be read."""
        return self.by_id.get(calendar_id, self.default)

    def broken_of(self, user_id: int | None, *, of_team: bool) -> BrokenCalendar | None:
        """The broken calendar of the person, or of their team; None if it can be read. Where it cannot be read their hours are the
        default ones, so that calls go on; an unknown time zone counts as UTC.
        """
        user = self.people.users.get(user_id) if user_id is not None else None
        team = self.people.teams.get(user.team_id) if user is not None and user.team_id is not None else None
        used = team.calendar_id if team is not None else None
        if user is not None and user.calendar_id is not None and not of_team:
            used = user.calendar_id
        return self.broken.get(used)

    def leave_of(self, user_id: int, at: datetime) -> Leave | None:
        """The leave of the person at that time; None if there is none."""
        leaves = self.leaves.get(user_id)
        return next((each for each in leaves if each.starts_at <= at < each.ends_at), None) if leaves else None

    def on_shift(self, user_id: int, at: datetime) -> bool:
        """Whether the person is at work: within their hours and not on leave."""
        return self.of_user(user_id).is_working(at) and self.leave_of(user_id, at) is None

    def acting(self, user_id: int, at: datetime) -> int | None:
        """The id of the person who does the work of ``user_id`` at that time: themselves or a deputy.

        None: they are away and have no active deputy at work, so their manager must act.
        """
        seen: set[int] = set()
        while (leave := self.leave_of(user_id, at)) is not None:
            seen.add(user_id)
            if leave.deputy_id is None or leave.deputy_id in seen or self.people.active(leave.deputy_id) is None:
                return None
            user_id = leave.deputy_id
        return user_id


@dataclass(frozen=True, slots=True)
class CalendarDetails:
    """A calendar for editing: its week, its differing dates in order, and the teams and people that use it."""

    calendar: Calendar
    week: tuple[tuple[Span, ...], ...]
    days: list[CalendarDay]
    team_ids: list[int]
    user_ids: list[int]


async def load_calendars(session: AsyncSession, people: Directory) -> Calendars:
    """All calendars as they are now; cached until somebody changes one."""
    by_id, default, leaves, broken = await cached_until_changed(session, _read_calendars)
    return Calendars(by_id, default, people, leaves, broken)


async def _read_calendars(
    session: AsyncSession,
) -> tuple[dict[int, WorkingTime], WorkingTime, dict[int, tuple[Leave, ...]], dict[int | None, BrokenCalendar]]:
    calendars = (await session.exec(select(Calendar))).all()
    spans = (await session.exec(select(CalendarSpan))).all()
    days = (await session.exec(select(CalendarDay))).all()
    by_id: dict[int, WorkingTime] = {}
    broken: dict[int | None, BrokenCalendar] = {}
    default = ROUND_THE_CLOCK

    def keep_broken(calendar: Calendar, why: Reason) -> None:
        found = BrokenCalendar(calendar.id or 0, why)
        broken[calendar.id] = found
        if calendar.is_default:
            broken[None] = found

    for calendar in calendars:
        assert calendar.id is not None
        try:
            week = _week([_check_stored(span) for span in spans if span.calendar_id == calendar.id])
            differing = {d.day: parse_spans(d.spans) for d in days if d.calendar_id == calendar.id}
        except ValueError as error:  # written past the checks, into the table
            keep_broken(calendar, reason("calendar.unreadable", calendar=calendar.name, error=error))
            continue
        zone = _zone(calendar.timezone)
        if zone is None:
            keep_broken(calendar, reason("calendar.no_zone", calendar=calendar.name, zone=calendar.timezone))
        by_id[calendar.id] = WorkingTime(zone or ZoneInfo("UTC"), week, differing)
        if calendar.is_default:
            default = by_id[calendar.id]
    leaves: dict[int, tuple[Leave, ...]] = {}
    for leave in (await session.exec(select(Leave).order_by(col(Leave.starts_at)))).all():
        leaves[leave.user_id] = (*leaves.get(leave.user_id, ()), leave)
    return by_id, default, leaves, broken


async def default_calendar(session: AsyncSession) -> Calendar | None:
    """The calendar of people without another; None before the first start."""
    return (await session.exec(select(Calendar).where(col(Calendar.is_default)))).first()


async def list_calendars(session: AsyncSession, people: Directory) -> list[CalendarDetails]:
    """All calendars, the default first, then by name."""
    order = (col(Calendar.is_default).desc(), col(Calendar.name))
    return [
        await _details(session, calendar, people)
        for calendar in (await session.exec(select(Calendar).order_by(*order))).all()
    ]


async def access_calendar(session: AsyncSession, calendar_id: int, people: Directory) -> CalendarDetails:
    """One calendar; raises NotFound. Everybody may see working hours."""
    calendar = await session.get(Calendar, calendar_id)
    if calendar is None:
        raise NotFound("calendars.not_found", "There is no such calendar any more.")
    return await _details(session, calendar, people)


async def list_leaves(session: AsyncSession, *, since: datetime | None = None) -> list[Leave]:
    """All leaves in order of time; with ``since``, only those that end after it."""
    query = select(Leave).order_by(col(Leave.starts_at), col(Leave.id))
    if since is not None:
        query = query.where(col(Leave.ends_at) > since)
    return list((await session.exec(query)).all())


async def _details(session: AsyncSession, calendar: Calendar, people: Directory) -> CalendarDetails:
    assert calendar.id is not None
    spans = await session.exec(select(CalendarSpan).where(CalendarSpan.calendar_id == calendar.id))
    days = await session.exec(
        select(CalendarDay).where(CalendarDay.calendar_id == calendar.id).order_by(col(CalendarDay.day))
    )
    return CalendarDetails(
        calendar,
        _week(spans.all()),
        list(days.all()),
        sorted(id_ for id_, team in people.teams.items() if team.calendar_id == calendar.id),
        sorted(id_ for id_, user in people.users.items() if user.calendar_id == calendar.id),
    )


def _week(spans: Iterable[CalendarSpan]) -> tuple[tuple[Span, ...], ...]:
    """The spans of Monday … Sunday."""
    days: list[list[Span]] = [[] for _ in range(7)]
    for span in spans:
        if 0 <= span.weekday < 7:
            days[span.weekday].append((span.start_minute, span.end_minute))
    return tuple(tuple(sorted(day)) for day in days)


def _check_stored(span: CalendarSpan) -> CalendarSpan:
    """The span. Raises ValueError if no check can have let it into the table."""
    if not (0 <= span.weekday < 7 and 0 <= span.start_minute < span.end_minute <= 2 * DAY):
        raise ValueError(f"no hours of a day: {span.weekday} {span.start_minute}-{span.end_minute}")
    return span


def _zone(name: str) -> ZoneInfo | None:
    """None for a zone that the tzdata of this machine does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        return None
