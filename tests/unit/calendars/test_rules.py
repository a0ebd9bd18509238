"""The week as people type it, and working minutes over nights and changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.rules import WorkingTime, format_spans, parse_spans

KYIV = ZoneInfo("Europe/Kyiv")
minutes = st.integers(0, 24 * 60 - 1)
spans = st.tuples(minutes, st.integers(1, 24 * 60)).map(lambda span: (span[0], span[0] + span[1]))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", ""),
        ("9-18", "09:00-18:00"),
        ("09:00\u201313:00;14.00 \u2014 18.00", "09:00-13:00, 14:00-18:00"),
        ("14:00-18:00, 9:00-13:00,", "09:00-13:00, 14:00-18:00"),
        ("22:00-06:00", "22:00-06:00"),
        ("0-24", "00:00-24:00"),
        ("9:00-0:00", "09:00-24:00"),
        ("09:00-09:00", "09:00-09:00"),
    ],
)
def test_a_day_is_read_as_people_type_it(typed: str, shown: str) -> None:
    assert format_spans(parse_spans(typed)) == shown


@pytest.mark.parametrize(
    "typed", ["all day", "9", "9-", "-18", "9-25", "9:75-10:00", "24:01-6", "9-12-18", "९-१८", "9:0-18", "1e1-12"]
)
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_spans(typed)


@given(st.lists(spans, max_size=5))
def test_what_is_shown_reads_as_it_was(day: list[tuple[int, int]]) -> None:
    assert parse_spans(format_spans(day)) == tuple(sorted(day))


@given(
    st.lists(st.lists(spans, max_size=2).map(lambda day: tuple(sorted(day))), min_size=7, max_size=7),
    st.integers(0, 230 * 24 * 60),
    st.integers(1, 50),
)
def test_working_minutes_that_were_added_have_passed(
    week: list[tuple[tuple[int, int], ...]], later: int, added: int
) -> None:
    working = WorkingTime(KYIV, tuple(week))
    # Up to November, over both changes of the clock.
    start = datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=later)
    end = working.add_minutes(start, added)
    if any(week):
        assert working.minutes_between(start, end) == pytest.approx(added)
    else:
        assert end == start + timedelta(minutes=added)  # nobody ever works: real minutes


def test_what_takes_more_than_a_year_is_not_due_before() -> None:
    minute_a_week = WorkingTime(KYIV, (((540, 541),), *((),) * 6))
    start = datetime(2026, 3, 20, tzinfo=UTC)
    assert minute_a_week.add_minutes(start, 100) > start + timedelta(days=365)


def test_a_night_shift_is_an_hour_shorter_when_the_clocks_go_forward() -> None:
    night = WorkingTime(KYIV, (((22 * 60, 30 * 60),),) * 7)
    begins = datetime(2026, 3, 28, 22, tzinfo=KYIV)  # the clocks go from 3 to 4 in this night
    ends = datetime(2026, 3, 29, 6, tzinfo=KYIV)
    assert night.minutes_between(begins.astimezone(UTC), ends.astimezone(UTC)) == 7 * 60
    assert night.is_working(datetime(2026, 3, 29, 2, 30, tzinfo=KYIV).astimezone(UTC))
