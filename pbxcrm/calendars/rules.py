"""Parses and checks working time as people type it: weekly hours, differing dates, a time zone, leaves."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import available_timezones

from pbxcrm.calendars.models import Calendar, CalendarDay
from pbxcrm.calendars.working_time import DAY, Span, WorkingTime
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.texts import one_line

MOST_SPANS = 10  # per day
MOST_DAYS = 2000  # dates that differ, in one calendar
LONGEST_NIGHT = 16 * 60  # minutes of a shift that ends on the next day
LONGEST_LEAVE = timedelta(days=3 * 366)
NOON = 12 * 60
# dashes that keyboards and word processors produce instead of a hyphen
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212", "-" * 6)
_TIME = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?")


@dataclass(frozen=True, slots=True)
class DifferingDay:
    """A date with other hours than its weekday; no ``spans``: a day off."""

    day: date
    spans: tuple[Span, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Absence:
    """A leave, with the values that the checks need."""

    user_id: int
    starts_at: datetime
    ends_at: datetime
    deputy_id: int | None


def parse_spans(text: str) -> tuple[Span, ...]:
    """``"09:00-13:00, 14-18"`` as spans, with any dash; an end not after its start is on the next day. Raises ValueError."""
    spans: list[Span] = []
    for part in filter(None, (piece.strip() for piece in text.translate(_DASHES).replace(";", ",").split(","))):
        start, _, end = part.partition("-")
        begins, ends = _minute(start), _minute(end)
        spans.append((begins, ends if ends > begins else ends + DAY))
    return tuple(sorted(spans))


def check_spans(field: str, text: str) -> tuple[Span, ...]:
    """Parse the hours of one day; empty is a day off. Raises Invalid at ``field``."""
    try:
        spans = parse_spans(text)
    except ValueError:
        spans = None
    if spans is None or len(spans) > MOST_SPANS:
        raise Invalid(
            field, "calendars.spans", "Write times with commas between them, for example 09:00-13:00, 14:00-18:00."
        )
    for start, end in spans:
        is_night = start >= NOON and end - DAY <= NOON and end - start <= LONGEST_NIGHT
        if end > DAY and not is_night and end - start != DAY:
            raise Invalid(
                field,
                "calendars.backwards",
                "{span} ends before it begins. A night shift begins after noon, ends before noon and takes at most 16 hours; a duty of a day and a night ends when it began.",
                span=format_spans([(start, end)]),
            )
    if _overlap(spans):
        raise Invalid(field, "calendars.overlap", "These times overlap. Join them, or move one of them.")
    return spans


def check_week(week: Sequence[str]) -> tuple[tuple[Span, ...], ...]:
    """Parse the hours of Monday … Sunday; an empty text is a day off. Raises Invalid at ``day_0`` … ``day_6`` or ``week``."""
    spans = tuple(check_spans(f"day_{weekday}", text) for weekday, text in enumerate(week))
    if len(spans) != 7:
        raise Invalid("week", "calendars.week", "Give the hours of all seven days, Monday first.")
    if not any(spans):
        raise Invalid("day_0", "calendars.never", "Somebody must be at work at some time of the week.")
    for weekday, today in enumerate(spans):
        tomorrow = [(start + DAY, end + DAY) for start, end in spans[(weekday + 1) % 7]]
        if _overlap([*today, *tomorrow]):
            raise Invalid(
                f"day_{weekday}", "calendars.overlap_night", "The night shift overlaps the hours of the next day."
            )
    return spans


def check_days(days: Sequence[tuple[date, str, str]]) -> tuple[DifferingDay, ...]:
    """Parse differing dates from (date, hours, name), sorted by date. Raises Invalid at ``days_0`` … (index of the row)."""
    if len(days) > MOST_DAYS:
        raise Invalid("days", "calendars.too_many_days", "At most {most} special dates are possible.", most=MOST_DAYS)
    seen: set[date] = set()
    found: list[DifferingDay] = []
    for number, (day, text, name) in enumerate(days):
        if day in seen:
            raise Invalid(f"days_{number}", "calendars.day_twice", "This date is there twice.")
        seen.add(day)
        named = check_optional_text(one_line(name), CalendarDay.name, f"days_{number}")
        found.append(DifferingDay(day, check_spans(f"days_{number}", text), named))
    return tuple(sorted(found, key=lambda each: each.day))


def check_timezone(name: str) -> None:
    """Raise Invalid at ``timezone`` for a zone that is not in the IANA database."""
    if name not in timezones():
        raise Invalid(
            "timezone", "calendars.timezone", "There is no time zone “{zone}” here. Choose one of the list.", zone=name
        )


def check_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return check_line(name, Calendar.name, "name", "calendars.name", "Write a name of up to {most} characters.")


def check_leave(new: Absence, others: Sequence[Absence]) -> None:
    """Check a leave: it ends after its start, does not overlap another of the person, and deputies form no circle.

    ``others`` are all other leaves. Raises Invalid at ``until``, ``from`` or ``deputy``.
    """
    if new.ends_at <= new.starts_at:
        raise Invalid("until", "leaves.backwards", "The leave ends before it begins.")
    if new.ends_at - new.starts_at > LONGEST_LEAVE:
        raise Invalid("until", "leaves.too_long", "A leave may take up to three years.")
    if any(each.user_id == new.user_id and _meet(each, new) for each in others):
        raise Invalid("from", "leaves.twice", "This person is away already for a part of that time.")
    if new.deputy_id == new.user_id:
        raise Invalid("deputy", "leaves.own_deputy", "Nobody can stand in for themselves.")
    if new.deputy_id is not None and _leads_to(new.user_id, new, new.deputy_id, others, len(others)):
        raise Invalid(
            "deputy",
            "leaves.circle",
            "They would stand in for each other at the same time, so nobody would do the work. Choose somebody else.",
        )


def _leads_to(user_id: int, during: Absence, deputy_id: int, others: Sequence[Absence], depth: int) -> bool:
    """Whether at some time within ``during`` the chain of deputies from ``deputy_id`` leads back to ``user_id``."""
    for each in others:
        if each.user_id != deputy_id or each.deputy_id is None or not _meet(each, during):
            continue
        both = Absence(
            user_id, max(each.starts_at, during.starts_at), min(each.ends_at, during.ends_at), each.deputy_id
        )
        if each.deputy_id == user_id or (depth and _leads_to(user_id, both, each.deputy_id, others, depth - 1)):
            return True
    return False


def _meet(one: Absence, other: Absence) -> bool:
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


@cache
def timezones() -> tuple[str, ...]:
    """All time zones of this machine, sorted; cached, because listing them takes 13 ms (one file per zone)."""
    return tuple(sorted(available_timezones()))


def format_spans(spans: Iterable[Span]) -> str:
    """The spans as text that ``parse_spans`` reads."""
    return ", ".join(f"{_clock(start)}-{_clock(end if end <= DAY else end - DAY)}" for start, end in spans)


def whole_days(first: date, last: date, working: WorkingTime) -> tuple[datetime, datetime]:
    """The local midnights at the beginning of ``first`` and the end of ``last``."""
    starts, ends = (
        datetime(day.year, day.month, day.day, tzinfo=working.timezone) for day in (first, last + timedelta(days=1))
    )
    return starts, ends


def _overlap(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))


def _minute(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 60)
    if minutes > 59 or hours * 60 + minutes > DAY:
        raise ValueError(f"not a time of day: {text}")
    return hours * 60 + minutes


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
