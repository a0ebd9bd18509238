"""How long a rule waits: a day is a day, whether people work nine hours of it or round the clock."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pbxcrm.automation.waits import end_of_wait
from pbxcrm.calendars.working_time import ROUND_THE_CLOCK, WorkingTime

KYIV = ZoneInfo("Europe/Kyiv")
OFFICE = WorkingTime(KYIV, (((9 * 60, 18 * 60),),) * 5 + ((), ()))
ALWAYS = replace(ROUND_THE_CLOCK, timezone=KYIV)
WON = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)  # a Monday, 16:30 in Kyiv


@pytest.mark.parametrize(
    ("step", "in_office", "always"),
    [
        ({"months": 6}, "2027-05-31 09:00", "2027-05-30 16:30"),  # the 30th is a Sunday
        ({"months": 3}, "2027-03-01 09:00", "2027-02-28 16:30"),  # February has no 30th, and the 28th is a Sunday
        ({"days": 5}, "2026-12-07 09:00", "2026-12-05 16:30"),
        ({"days": 1}, "2026-12-01 16:30", "2026-12-01 16:30"),
        ({"working_days": 30}, "2027-01-11 16:30", "2026-12-30 16:30"),
        ({"working_days": 3}, "2026-12-03 16:30", "2026-12-03 16:30"),
        ({"minutes": 180}, "2026-12-01 10:30", "2026-11-30 19:30"),
    ],
)
def test_days_are_days_of_the_calendar(step: dict[str, Any], in_office: str, always: str) -> None:
    ends = [f"{end_of_wait(step, WON, each).astimezone(KYIV):%Y-%m-%d %H:%M}" for each in (OFFICE, ALWAYS)]
    assert ends == [in_office, always]
