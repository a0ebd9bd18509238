"""When a digest is due, and which hours are quiet."""

from datetime import UTC, datetime

import pytest

from pbxcrm.notices.rules import format_clock, is_due, is_quiet, parse_clock
from pbxcrm.shared.errors import Invalid


def at(clock: str) -> datetime:
    hour, minute = clock.split(":")
    return datetime(2026, 11, 19, int(hour), int(minute), tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "clock", "quiet"),
    [
        ("", "12:00", False),
        ("20:00-08:00", "20:00", True),
        ("20:00-08:00", "07:59", True),
        ("20:00-08:00", "08:00", False),
        ("20:00-08:00, 13:00-14:00", "13:30", True),
        ("13:00-14:00", "14:00", False),
    ],
)
def test_quiet_hours_may_go_over_midnight(hours: str, clock: str, quiet: bool) -> None:
    assert is_quiet(hours, at(clock)) is quiet


def test_a_digest_is_due_from_its_time_until_it_is_old() -> None:
    nine = 9 * 60
    assert [is_due(nine, "", at(clock)) for clock in ("08:59", "09:00", "16:59", "17:00")] == [False, True, True, False]
    assert not is_due(nine, "08:00-10:00", at("09:30"))
    assert is_due(nine, "08:00-10:00", at("10:00"))


def test_a_time_of_day_is_read_as_people_write_it() -> None:
    assert (parse_clock("8:05", "x"), parse_clock("08.05", "x"), parse_clock("", "x")) == (485, 485, None)
    assert (format_clock(485), format_clock(None)) == ("08:05", "")
    for wrong in ("25:00", "8", "8:60", "морг"):
        with pytest.raises(Invalid):
            parse_clock(wrong, "x")
