"""The PBX's clock and ours."""

from datetime import UTC, datetime, timedelta

import pytest

from ami.pbx_clock import clock_error

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "error"),
    [(None, 0.0), (-0.2, 0.0), (-20.0, -20.0), (20.0, 20.0), (-3600.0, 0.0)],
)
def test_a_wrong_clock_is_reckoned_with_unless_events_get_our_time_anyway(asked: float | None, error: float) -> None:
    asked_at = None if asked is None else NOW + timedelta(seconds=asked)
    assert clock_error(asked_at, NOW) == timedelta(seconds=error)
