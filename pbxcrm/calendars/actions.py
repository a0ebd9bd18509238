"""Changing working time; deadlines that are pending move in the same transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.models import Calendar, CalendarSpan
from pbxcrm.calendars.queries import default_calendar, week_of
from pbxcrm.calendars.rules import Span, check_timezone, check_week, format_spans
from pbxcrm.callbacks.decision_context import load_context
from pbxcrm.callbacks.timers import do_recompute
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.locking import lock_row


async def change_week(
    session: AsyncSession, viewer: Viewer, week: Sequence[str], timezone: str, *, now: datetime
) -> None:
    """Set the hours of the default calendar: of Monday … Sunday each as ``parse_spans`` reads them, empty for a day off.

    Raises Invalid at ``timezone``, or at ``day_0`` … ``day_6``.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    spans = check_week(week)
    found = await default_calendar(session)
    if found is None or found.id is None:
        raise NotFound("calendars.not_found", "There is no such calendar any more.")
    calendar = await lock_row(session, Calendar, found.id)
    if timezone != calendar.timezone:  # one that the settings named may be unknown here, and counts as UTC
        check_timezone(timezone)
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
    await do_recompute(session, await load_context(session), now)


def _said(week: Sequence[Sequence[Span]]) -> list[str]:
    return [format_spans(day) for day in week]
