"""The PBX's clock and ours."""

from datetime import timedelta

import pytest

from ami.pbx_clock import clock_shift


@pytest.mark.parametrize(
    ("offset", "seconds"), [(None, 0.0), (-0.05, 0.0), (-20.0, -20.0), (20.0, 20.0), (-3600.0, 0.0)]
)
def test_a_wrong_clock_is_reckoned_with_unless_events_get_our_time_anyway(offset: float | None, seconds: float) -> None:
    assert clock_shift(offset) == timedelta(seconds=seconds)
