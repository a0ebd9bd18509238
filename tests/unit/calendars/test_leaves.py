"""Who may be away when: forwards in time, once at a time, and with a deputy who in the end is at work."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.calendars.rules import Absence, check_leave
from pbxcrm.shared.errors import Invalid

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
IVAN, PETRO, OLGA = 1, 2, 3


def away(user: int, first: int, last: int, deputy: int | None = None) -> Absence:
    """Away from day ``first`` up to and including ``last``, counted from a Monday."""
    return Absence(user, MONDAY + timedelta(days=first), MONDAY + timedelta(days=last + 1), deputy)


@pytest.mark.parametrize(
    ("new", "others", "field"),
    [
        (away(IVAN, 3, 1), [], "until"),
        (away(IVAN, 0, 2000), [], "until"),
        (away(IVAN, 0, 4, IVAN), [], "deputy"),
        (away(IVAN, 0, 4), [away(IVAN, 4, 5)], "from"),
        (away(IVAN, 0, 4, PETRO), [away(PETRO, 4, 9, IVAN)], "deputy"),
        (away(IVAN, 0, 4, PETRO), [away(PETRO, 2, 9, OLGA), away(OLGA, 3, 3, IVAN)], "deputy"),
    ],
    ids=["backwards", "years", "oneself", "twice", "each other", "in a circle of three"],
)
def test_what_cannot_be_is_refused_at_its_field(new: Absence, others: list[Absence], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_leave(new, others)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "others",
    [
        [],
        [away(PETRO, 5, 9, IVAN)],  # one after the other
        [away(PETRO, 2, 9, OLGA)],  # the deputy has a deputy
        [away(PETRO, 0, 1, OLGA), away(OLGA, 2, 4, IVAN)],  # never all at once
        [away(PETRO, 2, 9)],  # away without a deputy: the manager
    ],
)
def test_whoever_comes_back_in_time_may_stand_in(others: list[Absence]) -> None:
    check_leave(away(IVAN, 0, 4, PETRO), others)
