"""When a deadline is that was said in words, by the calendar of the person who must do the task. Pure.

Minutes and hours are working time; a day without a time means the end of that working day, at 23:59 where work goes on into the next
day. A morning is never midnight: where people work day and night it begins at 9:00.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from pbxcrm.calendars.working_time import DAY, MORNING, Span, WorkingTime

MOST_MINUTES = 366 * 24 * 60
MOST_DAYS = 3660
NOON = 12 * 60
AFTERNOON = 14 * 60
EVENING = 18 * 60
LATE_EVENING = 22 * 60  # work that ends later does not end in the evening
EARLIEST_BARE = 7 * 60  # "at 5" is in the afternoon, "at 7" in the morning
LAST_MINUTE = DAY - 1


@dataclass(slots=True)
class SaidDeadline:
    """What the words of a deadline have said so far. ``today``: of the person who types, in their ``zone``."""

    today: date
    zone: tzinfo
    day: date | None = None
    minute: int | None = None  # of the day
    is_bare: bool = False  # ``minute`` was said like "5" or "5:30"
    part: str = ""
    shift: dict[str, float] | None = None  # unit -> how many
    weekday: int | None = None  # ``day`` was named by its weekday
    next_working: bool = False  # the next working day, instead of ``day``
    is_at_work: bool = False  # ``day``, or the working day after it: "the day after tomorrow" is not before "tomorrow"
    ahead: bool = False  # "next" waits for its day, week or month
    ends: str = ""  # the last working day of this "weeks", "months" or "years" …
    ends_in: int = 0  # … or of the next one
    is_now: bool = False


def moment_of(said: SaidDeadline, now: datetime, working: WorkingTime) -> datetime | None:
    """The moment that was said, aware UTC; None if the words do not go together. Raises ValueError, OverflowError for no date."""
    today = said.today
    if said.is_now:
        return now if said.day is None and said.minute is None and said.shift is None else None
    if said.shift is not None:
        if said.day is not None or not said.shift or said.ends:
            return None
        return _shifted(said, now, working)
    if said.ends:
        return _at(_last_day(said, working), said, working) if said.day is None else None
    if said.day is None and said.minute is None and not said.part and not said.next_working:
        return None
    if said.next_working:
        day = working.next_working_day(today)
    elif said.day is not None:
        day = said.day
        if said.is_at_work and not working.spans_of(day):
            day = working.next_working_day(day)
    else:  # only a time: today, or the next working day if it is over
        day = today
        if _at(day, said, working) <= now:
            day = working.next_working_day(day)
    found = _at(day, said, working)
    if found <= now and said.weekday is not None:  # "Friday morning" typed on a Friday afternoon
        return _at(day + timedelta(days=7), said, working)
    if found <= now and said.day == today and not said.next_working and said.minute is None:
        if said.part == "evening":  # said when the evening has begun
            return _moment(day, LAST_MINUTE, said.zone)
        if said.part in {"", "close"}:
            return now  # the day is over: it is due at once
    return found


def _last_day(said: SaidDeadline, working: WorkingTime) -> date:
    """The last working day of the week, month or year; its last day if no working day is left."""
    first, today = said.today, said.today
    if said.ends == "weeks":
        first = today - timedelta(days=today.weekday()) + timedelta(days=7 * said.ends_in)
        last = first + timedelta(days=6)
    elif said.ends == "months":
        first = _month_after(today, said.ends_in)
        last = _month_after(today, said.ends_in + 1) - timedelta(days=1)
    else:
        first = date(today.year + said.ends_in, 1, 1)
        last = date(today.year + said.ends_in, 12, 31)
    day = last
    while not working.spans_of(day) and day > max(first, today):
        day -= timedelta(days=1)
    return day if working.spans_of(day) else last


def _month_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _shifted(said: SaidDeadline, now: datetime, working: WorkingTime) -> datetime | None:
    shift = said.shift or {}
    minutes = shift.get("minutes", 0) + 60 * shift.get("hours", 0)
    days, months = shift.get("days", 0), shift.get("months", 0) + 12 * shift.get("years", 0)
    if minutes > MOST_MINUTES or max(days, 7 * shift.get("weeks", 0), 31 * months) > MOST_DAYS:
        return None
    if not any(shift.values()):  # "in 0 min" is a typing error
        return None
    if any(number != int(number) for unit, number in shift.items() if unit not in {"minutes", "hours"}):
        return None
    moment = now
    if months:
        local = moment.astimezone(said.zone)
        moment = _same_day(local, int(months)).astimezone(UTC)
    if weeks := int(shift.get("weeks", 0)):
        moment = (moment.astimezone(said.zone) + timedelta(days=7 * weeks)).astimezone(UTC)
    if days:
        moment = working.add_days(moment, int(days))
    if minutes:
        moment = working.add_minutes(moment, minutes)
    if said.minute is not None or said.part:
        if minutes:
            return None
        moment = _at(moment.astimezone(said.zone).date(), said, working)
    return moment


def _same_day(local: datetime, months: int) -> datetime:
    number = local.year * 12 + local.month - 1 + months
    year, month = divmod(number, 12)
    for day in range(local.day, local.day - 4, -1):
        try:
            return local.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise ValueError("no such date")


def _at(day: date, said: SaidDeadline, working: WorkingTime) -> datetime:
    minute = said.minute
    if minute is None:
        return _moment(day, _minute_of(said.part, day, working), working.timezone)
    if minute < NOON and said.part in {"noon", "lunch", "afternoon", "evening", "close"}:
        minute += NOON  # 3 in the afternoon
    elif said.is_bare and not said.part and minute < EARLIEST_BARE:
        in_the_morning = _moment(day, minute, said.zone)
        in_the_afternoon = _moment(day, minute + NOON, said.zone)
        if working.is_working(in_the_afternoon) or not working.is_working(in_the_morning):
            minute += NOON
    return _moment(day, minute, said.zone)


def _moment(day: date, minute: int, zone: tzinfo) -> datetime:
    wall = datetime.combine(day + timedelta(days=minute // DAY), time(minute % DAY // 60, minute % 60))
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _minute_of(part: str, day: date, working: WorkingTime) -> int:
    """The minute at which a part of the day begins, within that day; without a part, the end of work."""
    spans: Sequence[Span] = working.spans_of(day)
    if part == "morning":
        begins = working.morning_of(day)
        return begins if begins is not None and begins < EVENING else MORNING  # a night shift has none of its own
    if part == "noon":
        return NOON
    if part == "lunch":  # where the morning's work ends
        return next((ends for _, ends in spans[:-1] if NOON - 60 <= ends <= NOON + 180), NOON + 60)
    if part == "afternoon":
        return next((start for start, _ in spans if NOON <= start < EVENING), AFTERNOON)
    if part == "midnight":
        return LAST_MINUTE
    ends = spans[-1][1] if spans else EVENING
    if part == "evening":
        return ends if NOON <= ends <= LATE_EVENING else EVENING
    return min(ends, LAST_MINUTE)
