"""Working time, pure: is somebody at work, how many working minutes lie between two moments, when are they over.

A span is minutes after local midnight and may end after midnight (overnight shifts). Minutes are real minutes: on the day the
clocks change, a span is an hour shorter or longer, as the people in it are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from pbxcrm.shared.errors import Invalid

HORIZON_DAYS = 400  # a calendar without a working minute in more than a year has none
DAY = 24 * 60  # minutes
MOST_SPANS = 10  # a day
Span = tuple[int, int]
# what keyboards and word processors make of a hyphen
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212", "-" * 6)
_TIME = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?")


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """``week`` has the spans of Monday … Sunday; ``days`` those of dates that differ (an empty tuple is a day off)."""

    timezone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)

    def spans_from(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Working spans in UTC that end after ``moment``, in order."""
        first = moment.astimezone(self.timezone).date() - timedelta(days=1)  # yesterday's may run past midnight
        for offset in range(HORIZON_DAYS):
            day = first + timedelta(days=offset)
            for start, end in self.days.get(day, self.week[day.weekday()]):
                begins, ends = _at(self.timezone, day, start), _at(self.timezone, day, end)
                if ends > moment and ends > begins:
                    yield begins, ends

    def is_working(self, moment: datetime) -> bool:
        found = next(self.spans_from(moment), None)
        return found is not None and found[0] <= moment

    def minutes_between(self, start: datetime, end: datetime) -> float:
        """Working minutes from ``start`` to ``end``; 0 where the end is not later."""
        total = timedelta()
        reached = start
        for begins, ends in self.spans_from(start):
            if begins >= end:
                break
            fresh, until = max(begins, reached), min(ends, end)  # overlapping spans count once
            if until > fresh:
                total += until - fresh
                reached = until
        return total.total_seconds() / 60

    def add_minutes(self, start: datetime, minutes: float) -> datetime:
        """The moment when ``minutes`` working minutes after ``start`` are over; real minutes where nobody ever works.

        What takes more than ``HORIZON_DAYS`` is due at their end.
        """
        left = timedelta(minutes=minutes)
        reached = start
        for begins, ends in self.spans_from(start):
            fresh = max(begins, reached)
            if ends <= fresh:
                continue
            if ends - fresh >= left:
                return fresh + left
            left -= ends - fresh
            reached = ends
        return reached if reached > start else start + timedelta(minutes=minutes)

    def next_morning(self, moment: datetime) -> datetime:
        """The beginning of the first working span on a later local day than ``moment``'s."""
        today = moment.astimezone(self.timezone).date()
        later = (begins for begins, _ in self.spans_from(moment) if begins.astimezone(self.timezone).date() > today)
        return next(later, moment + timedelta(days=1))


@lru_cache(maxsize=10_000)  # a queue of hundreds is reckoned over the same few days
def _at(timezone: ZoneInfo, day: date, minute: int) -> datetime:
    days, minute = divmod(minute, DAY)
    local = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60), tzinfo=timezone)
    return local.astimezone(UTC)


def parse_spans(text: str) -> tuple[Span, ...]:
    """``"09:00-13:00, 14-18"`` as spans, any dash; an end not later than its start is on the next day. Raises ValueError."""
    spans: list[Span] = []
    for part in filter(None, (piece.strip() for piece in text.translate(_DASHES).replace(";", ",").split(","))):
        start, _, end = part.partition("-")
        begins, ends = _minute(start), _minute(end)
        spans.append((begins, ends if ends > begins else ends + DAY))
    return tuple(sorted(spans))


def check_week(week: Sequence[str]) -> tuple[tuple[Span, ...], ...]:
    """The hours of Monday … Sunday as people type them, an empty day is a day off. Raises Invalid at ``day_0`` … ``day_6``."""
    spans = tuple(_check_day(f"day_{weekday}", text) for weekday, text in enumerate(week))
    if not any(spans):
        raise Invalid("day_0", "calendars.never", "Somebody must be at work at some time of the week.")
    return spans


def check_timezone(name: str) -> None:
    if name not in timezones():
        raise Invalid("timezone", "calendars.timezone", "Choose a time zone.")


@cache
def timezones() -> tuple[str, ...]:
    """Every zone this machine knows, in order; to look takes it 13 ms, for each is a file."""
    return tuple(sorted(available_timezones()))


def _check_day(field: str, text: str) -> tuple[Span, ...]:
    try:
        spans = parse_spans(text)
    except ValueError:
        spans = None
    if spans is None or len(spans) > MOST_SPANS:
        raise Invalid(
            field, "calendars.spans", "Write times with commas between them, for example 09:00-13:00, 14:00-18:00."
        )
    return spans


def format_spans(spans: Iterable[Span]) -> str:
    """The text that ``parse_spans`` reads."""
    return ", ".join(f"{_clock(start)}-{_clock(end if end <= DAY else end - DAY)}" for start, end in spans)


def _minute(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 60)
    if minutes > 59 or hours * 60 + minutes > DAY:
        raise ValueError(f"not a time of day: {text}")
    return hours * 60 + minutes


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


ROUND_THE_CLOCK = WorkingTime(ZoneInfo("UTC"), (((0, DAY),),) * 7)
