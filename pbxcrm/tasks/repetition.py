"""The pure rule for when a repeated task is due next."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.tasks.models import Repeat


def next_due(
    repeat: Repeat, due_at: datetime, after: datetime, working: WorkingTime, month_day: int | None
) -> datetime:
    """The first repetition of ``due_at`` that is later than ``due_at`` and ``after``, at the same local time of day.

    ``working`` gives the time zone and the working days. ``month_day`` is the day of the first monthly task, so that one on the 31st
    returns to it after February.
    """
    local = due_at.astimezone(working.timezone)
    yesterday = after.astimezone(working.timezone).date() - timedelta(days=1)
    day = local.date()
    if repeat in {Repeat.DAILY, Repeat.WORKDAYS}:
        day = max(day, yesterday)
    while True:
        day = _following(repeat, day, working, month_day or local.day)
        moment = datetime.combine(day, local.time(), working.timezone).astimezone(UTC)
        if moment > max(due_at, after):
            return moment


def _following(repeat: Repeat, day: date, working: WorkingTime, month_day: int) -> date:
    if repeat is Repeat.WEEKLY:
        return day + timedelta(days=7)
    if repeat is Repeat.MONTHLY:
        year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
        return date(year, month, min(month_day, monthrange(year, month)[1]))
    if repeat is Repeat.WORKDAYS:
        return working.next_working_day(day)
    return day + timedelta(days=1)
