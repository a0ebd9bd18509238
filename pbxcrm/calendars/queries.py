"""Whose working time is what."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.models import Calendar, CalendarDay, CalendarSpan
from pbxcrm.calendars.rules import ROUND_THE_CLOCK, Span, WorkingTime, parse_spans
from pbxcrm.people.queries import Directory


@dataclass(frozen=True, slots=True)
class Calendars:
    """Every calendar, and which one is whose: a person's own, else the team's, else the default, else round the clock."""

    by_id: dict[int, WorkingTime]
    default: WorkingTime
    people: Directory

    def of_user(self, user_id: int | None) -> WorkingTime:
        user = self.people.users.get(user_id) if user_id is not None else None
        if user is None:
            return self.default
        team = self.people.teams.get(user.team_id) if user.team_id is not None else None
        for calendar_id in (user.calendar_id, team.calendar_id if team is not None else None):
            if calendar_id in self.by_id:
                return self.by_id[calendar_id]
        return self.default

    def on_shift(self, user_id: int, at: datetime) -> bool:
        return self.of_user(user_id).is_working(at)


async def load_calendars(session: AsyncSession, people: Directory) -> Calendars:
    calendars = (await session.exec(select(Calendar))).all()
    spans = (await session.exec(select(CalendarSpan))).all()
    days = (await session.exec(select(CalendarDay))).all()
    by_id: dict[int, WorkingTime] = {}
    default = ROUND_THE_CLOCK
    for calendar in calendars:
        assert calendar.id is not None
        week = _week(span for span in spans if span.calendar_id == calendar.id)
        differing = {d.day: parse_spans(d.spans) for d in days if d.calendar_id == calendar.id}
        by_id[calendar.id] = WorkingTime(_zone(calendar.timezone), week, differing)
        if calendar.is_default:
            default = by_id[calendar.id]
    return Calendars(by_id, default, people)


async def default_calendar(session: AsyncSession) -> Calendar | None:
    return (await session.exec(select(Calendar).where(col(Calendar.is_default)))).first()


async def week_of(session: AsyncSession, calendar_id: int) -> tuple[tuple[Span, ...], ...]:
    """The spans of Monday … Sunday."""
    return _week((await session.exec(select(CalendarSpan).where(CalendarSpan.calendar_id == calendar_id))).all())


def _week(spans: Iterable[CalendarSpan]) -> tuple[tuple[Span, ...], ...]:
    days: list[list[Span]] = [[] for _ in range(7)]
    for span in spans:
        days[span.weekday].append((span.start_minute, span.end_minute))
    return tuple(tuple(sorted(day)) for day in days)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")  # a zone that this machine's tzdata does not know must not stop the calls
