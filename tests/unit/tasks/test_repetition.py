"""When a repeated task is due next."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.tasks.models import Repeat
from pbxcrm.tasks.rules import next_repetition

KYIV = ZoneInfo("Europe/Kyiv")
WEEK = WorkingTime(KYIV, (((9 * 60, 18 * 60),),) * 5 + ((),) * 2, {date(2026, 12, 25): ()})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KYIV).astimezone(UTC)


@pytest.mark.parametrize(
    ("repeat", "due", "done", "following"),
    [
        (Repeat.DAILY, "2026-11-27T10:00", "2026-11-27T09:00", "2026-11-28T10:00"),
        (Repeat.DAILY, "2026-11-20T10:00", "2026-11-27T11:00", "2026-11-28T10:00"),
        (Repeat.DAILY, "2026-11-20T10:00", "2026-11-27T09:00", "2026-11-27T10:00"),
        (Repeat.WORKDAYS, "2026-11-27T10:00", "2026-11-27T12:00", "2026-11-30T10:00"),
        (Repeat.WORKDAYS, "2026-12-24T10:00", "2026-12-24T12:00", "2026-12-28T10:00"),  # the 25th is a day off
        (Repeat.WEEKLY, "2026-11-27T10:00", "2026-11-27T12:00", "2026-12-04T10:00"),
        (Repeat.WEEKLY, "2026-11-27T10:00", "2026-12-20T12:00", "2026-12-25T10:00"),
        (Repeat.MONTHLY, "2027-01-31T10:00", "2027-01-31T12:00", "2027-02-28T10:00"),
        (Repeat.MONTHLY, "2027-02-28T10:00", "2027-02-28T12:00", "2027-03-31T10:00"),  # it began on a 31st
        (Repeat.DAILY, "2026-10-24T10:00", "2026-10-24T12:00", "2026-10-25T10:00"),  # the night the clocks change
    ],
)
def test_the_next_one(repeat: Repeat, due: str, done: str, following: str) -> None:
    assert next_repetition(repeat, at(due), at(done), WEEK, 31) == at(following)


MOMENTS = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(st.sampled_from([Repeat.DAILY, Repeat.WORKDAYS, Repeat.WEEKLY, Repeat.MONTHLY]), MOMENTS, MOMENTS)
def test_it_is_later_than_both_and_the_clock_on_the_wall_stays(repeat: Repeat, due: datetime, done: datetime) -> None:
    found = next_repetition(repeat, due, done, WEEK, due.astimezone(KYIV).day)
    assert found > max(due, done)
    assert found - max(due, done) <= timedelta(days=32)
    wall = due.astimezone(KYIV).time()
    if not time(2) <= wall < time(5):  # an hour that a night of the year does not have
        assert found.astimezone(KYIV).time() == wall
    if repeat is Repeat.WORKDAYS:
        assert WEEK.spans_of(found.astimezone(KYIV).date())
