"""Changing working time; what is pending moves in the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import available_timezones

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.models import Calendar, CalendarSpan
from pbxcrm.calendars.queries import default_calendar, week_of
from pbxcrm.calendars.rules import Span, format_spans, parse_spans
from pbxcrm.callbacks.ground import load_ground
from pbxcrm.callbacks.timers import do_recompute
from pbxcrm.errors import Invalid, NotFound
from pbxcrm.locking import lock_row

MOST_SPANS = 10  # a day


async def change_week(
    session: AsyncSession, viewer: Viewer, week: Sequence[str], timezone: str, *, now: datetime
) -> None:
    """Set the hours of the default calendar: of Monday … Sunday each as ``parse_spans`` reads them, empty for a day off.

    Raises Invalid at ``timezone``, or at ``day_0`` … ``day_6``.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    spans = [_spans(f"day_{weekday}", text) for weekday, text in enumerate(week)]
    if not any(spans):
        raise Invalid("day_0", "calendars.never", "Somebody must be at work at some time of the week.")
    if timezone not in available_timezones():
        raise Invalid("timezone", "calendars.timezone", "Choose a time zone.")
    found = await default_calendar(session)
    if found is None or found.id is None:
        raise NotFound("calendars.not_found", "There is no such calendar any more.")
    calendar = await lock_row(session, Calendar, found.id)
    before = {"timezone": calendar.timezone, "week": _said(await week_of(session, found.id))}
    after = {"timezone": timezone, "week": _said(spans)}
    if after == before:
        return
    calendar.timezone = timezone
    await session.exec(delete(CalendarSpan).where(col(CalendarSpan.calendar_id) == found.id))
    for weekday, day in enumerate(spans):
        for start, end in day:
            session.add(CalendarSpan(calendar_id=found.id, weekday=weekday, start_minute=start, end_minute=end))
    await session.flush()
    record(session, now, "calendar.changed", "calendar", found.id, actor=viewer, before=before, after=after)
    await do_recompute(session, await load_ground(session), now)


def _spans(field: str, text: str) -> tuple[Span, ...]:
    try:
        spans = parse_spans(text)
    except ValueError:
        spans = None
    if spans is None or len(spans) > MOST_SPANS:
        raise Invalid(
            field, "calendars.spans", "Write times with commas between them, for example 09:00-13:00, 14:00-18:00."
        )
    return spans


def _said(week: Sequence[Sequence[Span]]) -> list[str]:
    return [format_spans(day) for day in week]
