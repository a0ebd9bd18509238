"""Working time, pure: is somebody at work, how many working minutes are between two times, when have they passed.

A span is minutes after local midnight and may end after midnight (overnight shifts). Minutes are real minutes: on the day the
clocks change, a span may be an hour shorter or longer.

A calculation takes a few microseconds for any distance: the working spans of a local year are computed once, as UTC times with
the accumulated working time, and searched by bisection.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = 24 * 60  # minutes
MORNING = 9 * 60  # begins the day where people work through the night
NIGHT_ENDS = 5 * 60  # work that begins earlier began at night
HORIZON_YEARS = 50  # a longer calculation ends there
Span = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_MINUTE = 60_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """A calendar's hours. ``week``: spans of Monday … Sunday; ``days``: spans of differing dates (empty tuple: a day off)."""

    timezone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    _years: dict[int, "_Year"] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def is_never(self) -> bool:
        """Whether there are no spans at all, neither on weekdays nor on dates."""
        return not any(self.week) and not any(self.days.values())

    def is_working(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in working time."""
        at = _micro(moment)
        return self._year_of(moment, at).is_working(at)

    def minutes_between(self, start: datetime, end: datetime) -> float:
        """Working minutes from ``start`` to ``end``; 0 if ``end`` is not later."""
        begins, ends = _micro(start), _micro(end)
        if ends <= begins:
            return 0.0
        first, last = self._year_of(start, begins), self._year_of(end, ends)
        worked = last.worked(ends) - first.worked(begins)
        for number in range(first.number, last.number):
            worked += self._year(number).total
        return worked / _MINUTE

    def add_minutes(self, start: datetime, minutes: float) -> datetime:
        """The time when ``minutes`` working minutes after ``start`` have passed; before ``start`` if negative.

        0 gives the next working time at or after ``start``. If there are no spans at all, minutes are real minutes.
        """
        if self.is_never:
            return start + timedelta(minutes=minutes)
        wanted = round(minutes * _MINUTE)
        at = _micro(start)
        year = self._year_of(start, at)
        return self._back(year, at, -wanted) if wanted < 0 else self._on(year, at, wanted)

    def _on(self, year: "_Year", at: int, wanted: int) -> datetime:
        limit = year.number + HORIZON_YEARS
        if wanted == 0:
            while (found := year.next_working(at)) is None and year.number < limit:
                year = self._year(year.number + 1)
            return _datetime_of(year.ends if found is None else found)
        target = year.worked(at) + wanted
        while target > year.total and year.number < limit:
            target -= year.total
            year = self._year(year.number + 1)
        return _datetime_of(year.ends if target > year.total else year.when_over(target))

    def _back(self, year: "_Year", at: int, wanted: int) -> datetime:
        limit = year.number - HORIZON_YEARS
        target = year.worked(at) - wanted
        while target < 0 and year.number > limit:
            year = self._year(year.number - 1)
            target += year.total
        return _datetime_of(year.begins if target < 0 else year.when_left(target))

    def next_morning(self, moment: datetime) -> datetime:
        """The morning (``morning_of``) of the first working day after that of ``moment``."""
        day = moment.astimezone(self.timezone).date()
        for _ in range(366 * HORIZON_YEARS if not self.is_never else 0):
            day += timedelta(days=1)
            if (minute := self.morning_of(day)) is not None:
                return _local(self.timezone, day, minute)
        return moment + timedelta(days=1)

    def morning_of(self, day: date) -> int | None:
        """The minute at which work begins on a local day; None on a day off. Work that goes on from the night begins at 9:00."""
        spans = self.spans_of(day)
        if not spans:
            return None
        if spans[0][0] < NIGHT_ENDS and any(begins <= MORNING < ends for begins, ends in spans):
            return MORNING
        return spans[0][0]

    def add_days(self, moment: datetime, days: int) -> datetime:
        """The same local time ``days`` working days later (earlier if negative); a working day has a span."""
        local = moment.astimezone(self.timezone)
        day, step = local.date(), timedelta(days=1 if days > 0 else -1)
        if self.is_never:
            day += timedelta(days=days)
        else:
            left, looked = abs(days), 0
            while left and looked < 366 * HORIZON_YEARS:
                day, looked = day + step, looked + 1
                left -= bool(self.spans_of(day))
        return datetime.combine(day, local.timetz(), self.timezone).astimezone(UTC)

    def next_working_day(self, day: date) -> date:
        """The first later local date with a span; the next date if there are no spans at all."""
        following = day + timedelta(days=1)
        for _ in range(366 * HORIZON_YEARS if not self.is_never else 0):
            if self.spans_of(following):
                return following
            following += timedelta(days=1)
        return day + timedelta(days=1)

    def spans_of(self, day: date) -> tuple[Span, ...]:
        """The spans that begin on a local date, in order."""
        return self.days.get(day, self.week[day.weekday()])

    def pieces(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The working intervals from ``start`` to ``end``, in UTC and in order; ``minutes_between`` is their sum."""
        begins, ends = _micro(start), _micro(end)
        if ends <= begins:
            return
        open_from = open_to = begins
        for number in range(self._year_of(start, begins).number, self._year_of(end, ends).number + 1):
            for piece_from, piece_to in self._year(number).pieces(begins, ends):
                if piece_from > open_to:
                    if open_to > open_from:
                        yield _datetime_of(open_from), _datetime_of(open_to)
                    open_from = piece_from
                open_to = piece_to
        if open_to > open_from:
            yield _datetime_of(open_from), _datetime_of(open_to)

    def _year_of(self, moment: datetime, at: int) -> "_Year":
        year = self._year(moment.year)
        if at < year.begins:
            return self._year(moment.year - 1)
        return year if at < year.ends else self._year(moment.year + 1)

    def _year(self, number: int) -> "_Year":
        known = self._years.get(number)
        if known is None:
            known = self._years[number] = _Year.lay_out(self, number)
        return known


@dataclass(frozen=True, slots=True)
class _Year:
    """The working time of one local year, in microseconds since 1970 UTC: ``starts[i]`` to ``stops[i]``, which do not touch.

    ``over[i]`` is the working time of the year up to ``stops[i]``, ``total`` that of the whole year.
    """

    number: int
    begins: int
    ends: int
    starts: list[int]
    stops: list[int]
    over: list[int]
    total: int

    @classmethod
    def lay_out(cls, working: WorkingTime, number: int) -> "_Year":
        first, last = date(number, 1, 1), date(number + 1, 1, 1)
        begins, ends = (_micro(_local(working.timezone, day, 0)) for day in (first, last))
        spans: list[tuple[int, int]] = []
        day = first - timedelta(days=2)  # a shift of the old year may run into the new one
        while day < last:
            for start, stop in working.spans_of(day):
                since = max(_micro(_local(working.timezone, day, start)), begins)
                until = min(_micro(_local(working.timezone, day, stop)), ends)
                if until > since:
                    spans.append((since, until))
            day += timedelta(days=1)
        starts, stops, over = _merged(sorted(spans))
        return cls(number, begins, ends, starts, stops, over, over[-1] if over else 0)

    def is_working(self, at: int) -> bool:
        found = bisect_right(self.starts, at) - 1
        return found >= 0 and at < self.stops[found]

    def worked(self, at: int) -> int:
        """The working time of this year up to ``at``."""
        found = bisect_right(self.starts, at) - 1
        if found < 0:
            return 0
        return self.over[found] - max(0, self.stops[found] - at)

    def next_working(self, at: int) -> int | None:
        """The first working time at or after ``at``; None if there is none this year."""
        found = bisect_right(self.stops, at)
        return max(at, self.starts[found]) if found < len(self.starts) else None

    def when_over(self, worked: int) -> int:
        """The first time at which ``worked`` (more than 0, at most ``total``) has passed."""
        found = bisect_left(self.over, worked)
        return self.stops[found] - (self.over[found] - worked)

    def when_left(self, worked: int) -> int:
        """The last time at which no more than ``worked`` (less than ``total``) has passed."""
        found = bisect_right(self.over, worked)
        return self.stops[found] - (self.over[found] - worked)

    def pieces(self, begins: int, ends: int) -> Iterator[tuple[int, int]]:
        for found in range(bisect_right(self.stops, begins), bisect_left(self.starts, ends)):
            yield max(begins, self.starts[found]), min(ends, self.stops[found])


def _merged(spans: list[tuple[int, int]]) -> tuple[list[int], list[int], list[int]]:
    starts: list[int] = []
    stops: list[int] = []
    for start, stop in spans:
        if stops and start <= stops[-1]:  # overlapping time counts once
            stops[-1] = max(stops[-1], stop)
        else:
            starts.append(start)
            stops.append(stop)
    over: list[int] = []
    total = 0
    for start, stop in zip(starts, stops, strict=True):
        total += stop - start
        over.append(total)
    return starts, stops, over


def _micro(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICRO


def _datetime_of(micro: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micro)


def _local(timezone: ZoneInfo, day: date, minute: int) -> datetime:
    """``minute`` after local midnight of ``day``, as UTC; a time skipped by the clock change is read as before the change."""
    days, minute = divmod(minute, DAY)
    wall = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60), tzinfo=timezone)
    return wall.astimezone(UTC)


ROUND_THE_CLOCK = WorkingTime(ZoneInfo("UTC"), (((0, DAY),),) * 7)
