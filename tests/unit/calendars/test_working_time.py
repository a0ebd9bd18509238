"""Reckoning with working time, against a slow reference that counts one minute after the other."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pbxcrm.calendars.working_time import DAY, ROUND_THE_CLOCK, Span, WorkingTime

KYIV = ZoneInfo("Europe/Kyiv")
MINUTE = timedelta(minutes=1)
# Zones that change the clocks in both halves of the world, by half an hour, over a date line, and that gave the changes up.
ZONES = [ZoneInfo(name) for name in ("Europe/Kyiv", "Australia/Lord_Howe", "America/New_York", "Asia/Almaty", "UTC")]
OFFICE = WorkingTime(KYIV, (((540, 1080),),) * 5 + ((),) * 2)

spans = st.tuples(st.integers(0, DAY - 1), st.integers(1, DAY)).map(lambda span: (span[0], span[0] + span[1]))
day_spans = st.lists(spans, max_size=3).map(lambda found: tuple(sorted(found)))
days = st.dictionaries(st.dates(date(2026, 1, 1), date(2027, 12, 31)), day_spans, max_size=5)
working_times = st.builds(WorkingTime, st.sampled_from(ZONES), st.tuples(*[day_spans] * 7), days)
# Around both changes of the clock and around the new year.
moments = st.builds(
    lambda base, minutes: base + timedelta(minutes=minutes),
    st.sampled_from(
        [datetime(*day, tzinfo=UTC) for day in ((2026, 3, 27), (2026, 10, 23), (2026, 12, 30), (2024, 2, 27))]
    ),
    st.integers(0, 5 * DAY),
)


def at(zone: ZoneInfo, day: date, minute: int) -> datetime:
    shift, minute = divmod(minute, DAY)
    return datetime.combine(day + timedelta(days=shift), time(minute // 60, minute % 60), tzinfo=zone).astimezone(UTC)


def is_worked(working: WorkingTime, moment: datetime) -> bool:
    """Obviously right: look whether the moment lies in a span of one of the days around it."""
    today = moment.astimezone(working.timezone).date()
    for back in range(-1, 3):
        day = today - timedelta(days=back)
        own: tuple[Span, ...] = working.days.get(day, working.week[day.weekday()])
        if any(at(working.timezone, day, a) <= moment < at(working.timezone, day, b) for a, b in own):
            return True
    return False


def minutes_from(moment: datetime, step: timedelta = MINUTE) -> Iterator[datetime]:
    while True:
        yield moment
        moment += step


@settings(max_examples=40)
@given(working_times, moments, st.integers(0, 3 * DAY))
def test_between_counts_the_minutes_that_are_worked(working: WorkingTime, start: datetime, length: int) -> None:
    end = start + timedelta(minutes=length)
    slowly = sum(is_worked(working, start + timedelta(minutes=passed)) for passed in range(length))
    assert working.minutes_between(start, end) == slowly
    assert sum((b - a) / MINUTE for a, b in working.pieces(start, end)) == slowly
    assert working.is_working(start) == is_worked(working, start)


@settings(max_examples=40)
@given(working_times, moments, st.integers(1, 2000))
def test_add_ends_with_the_minute_that_completes_the_sum(working: WorkingTime, start: datetime, added: int) -> None:
    assume(not working.is_never)
    end = working.add_minutes(start, added)
    assume(end - start < timedelta(days=8))
    left = added
    for moment in minutes_from(start):
        left -= is_worked(working, moment)
        if left == 0:
            assert end == moment + MINUTE
            return


@given(working_times, moments, st.integers(1, 3000), st.integers(1, 3000))
@example(OFFICE, datetime(2026, 12, 31, 15, 30, tzinfo=UTC), 30, 600)
def test_add_is_additive_monotone_and_the_inverse_of_between(
    working: WorkingTime, start: datetime, first: int, second: int
) -> None:
    assume(not working.is_never)
    middle, end = working.add_minutes(start, first), working.add_minutes(start, first + second)
    assume(end - start < timedelta(days=40 * 365))  # what lies beyond the horizon is due at its end
    assert start < middle < end
    assert working.add_minutes(middle, second) == end
    assert working.minutes_between(start, end) == pytest.approx(first + second)
    assert working.minutes_between(start, middle) + working.minutes_between(middle, end) == pytest.approx(
        first + second
    )


@given(working_times, moments, st.integers(1, 3000))
def test_going_back_is_the_mirror_of_going_on(working: WorkingTime, end: datetime, minutes: int) -> None:
    assume(not working.is_never)
    start = working.add_minutes(end, -minutes)
    assume(end - start < timedelta(days=40 * 365))
    assert working.minutes_between(start, end) == pytest.approx(minutes)
    assert working.is_working(start)
    # A minute later less than that is left: it is the last such moment.
    assert working.minutes_between(start + MINUTE, end) < minutes


@given(working_times, moments)
def test_no_minutes_lead_to_the_next_moment_of_work(working: WorkingTime, start: datetime) -> None:
    assume(not working.is_never)
    found = working.add_minutes(start, 0)
    assume(found - start < timedelta(days=8))
    assert found == next(moment for moment in minutes_from(start) if is_worked(working, moment))


@given(working_times, moments, st.integers(-40, 40))
def test_working_days_are_counted_one_by_one(working: WorkingTime, start: datetime, added: int) -> None:
    assume(any(working.week))
    local = start.astimezone(working.timezone)
    day, left = local.date(), abs(added)
    while left:
        day += timedelta(days=1 if added > 0 else -1)
        left -= bool(working.days.get(day, working.week[day.weekday()]))
    found = working.add_days(start, added)
    assert found == datetime.combine(day, local.timetz(), working.timezone).astimezone(UTC)


def test_the_next_working_morning_skips_days_off() -> None:
    easter = WorkingTime(KYIV, OFFICE.week, {date(2026, 4, 13): ()})
    friday = datetime(2026, 4, 10, 17, tzinfo=KYIV)
    assert easter.next_morning(friday) == datetime(2026, 4, 14, 9, tzinfo=KYIV)
    early = datetime(2026, 4, 10, 3, tzinfo=KYIV)
    assert easter.next_morning(early) == datetime(2026, 4, 14, 9, tzinfo=KYIV)  # a later day, not this one


def test_a_morning_is_never_midnight() -> None:
    friday = datetime(2026, 4, 10, 17, tzinfo=KYIV)
    nine, eight = (datetime(2026, 4, 11, hour, tzinfo=KYIV) for hour in (9, 8))
    assert WorkingTime(KYIV, (((0, DAY),),) * 7).next_morning(friday) == nine  # day and night
    assert WorkingTime(KYIV, (((0, 120), (480, 1440)),) * 7).next_morning(friday) == nine
    assert WorkingTime(KYIV, (((480, 1440),),) * 7).next_morning(friday) == eight
    assert WorkingTime(KYIV, (((0, 480),),) * 7).next_morning(friday) == datetime(
        2026, 4, 11, tzinfo=KYIV
    )  # nights only


def test_a_night_shift_is_an_hour_shorter_or_longer_when_the_clocks_change() -> None:
    night = WorkingTime(KYIV, (((22 * 60, 30 * 60),),) * 7)
    for day, hours in ((date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 6, 1), 8)):
        begins = datetime.combine(day, time(22), KYIV).astimezone(UTC)
        ends = datetime.combine(day + timedelta(days=1), time(6), KYIV).astimezone(UTC)
        assert night.minutes_between(begins, ends) == hours * 60
        assert night.add_minutes(begins, hours * 60) == ends


def test_a_shift_over_the_new_year_is_one_piece() -> None:
    night = WorkingTime(KYIV, (((22 * 60, 30 * 60),),) * 7)
    eve, morning = datetime(2026, 12, 31, 21, tzinfo=KYIV), datetime(2027, 1, 1, 8, tzinfo=KYIV)
    pieces = list(night.pieces(eve, morning))
    assert pieces == [(datetime(2026, 12, 31, 22, tzinfo=KYIV), datetime(2027, 1, 1, 6, tzinfo=KYIV))]


def test_a_zone_that_changed_its_rules() -> None:
    """Kazakhstan went from six hours before UTC to five on 1 March 2024: that night has an hour more."""
    almaty = WorkingTime(ZoneInfo("Asia/Almaty"), (((0, DAY),),) * 7)
    begins = datetime(2024, 2, 29, tzinfo=almaty.timezone).astimezone(UTC)
    ends = datetime(2024, 3, 1, 12, tzinfo=almaty.timezone).astimezone(UTC)
    assert almaty.minutes_between(begins, ends) == 37 * 60


def test_ten_years_ahead() -> None:
    start = datetime(2026, 1, 5, 9, tzinfo=KYIV).astimezone(UTC)  # a Monday
    decade = 522 * 5 * 540
    end = OFFICE.add_minutes(start, decade)
    assert end == datetime(2036, 1, 4, 18, tzinfo=KYIV)  # the Friday that ends the 522nd week
    assert OFFICE.minutes_between(start, end) == decade


def test_where_nobody_ever_works_minutes_are_real() -> None:
    never = WorkingTime(KYIV, ((),) * 7)
    start = datetime(2026, 3, 20, tzinfo=UTC)
    assert never.is_never
    assert never.add_minutes(start, 90) == start + timedelta(minutes=90)
    assert never.minutes_between(start, start + timedelta(days=3)) == 0
    assert never.next_morning(start) == start + timedelta(days=1)
    assert ROUND_THE_CLOCK.add_minutes(start, 90) == start + timedelta(minutes=90)


def test_what_takes_longer_than_the_horizon_is_due_at_its_end() -> None:
    once = WorkingTime(KYIV, ((),) * 7, {date(2026, 1, 1): ((540, 600),)})
    start = datetime(2026, 3, 20, tzinfo=UTC)
    assert once.add_minutes(start, 10).year >= 2076
