"""When a next task counts as work, and when it only stopped the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.checkpoints.rules import SHORTEST_PLAN, PlannedTask, Rest, Talk

MADE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEAST = 30  # seconds


def plan(ahead: timedelta, closed: timedelta | None = None, *, cancelled: bool = False) -> PlannedTask:
    return PlannedTask(1, MADE, MADE + ahead, 7, MADE + closed if closed is not None else None, cancelled)


def talk(after: timedelta, seconds: float = 60) -> Talk:
    return Talk(MADE + after, seconds, 3, 7)


@pytest.mark.parametrize("closed", [None, MINUTE, 60 * MINUTE])
@pytest.mark.parametrize("ahead", [-20 * 60 * MINUTE, timedelta(0), timedelta(seconds=1), SHORTEST_PLAN - MINUTE])
def test_for_the_past_or_at_once_it_plans_nothing(ahead: timedelta, closed: timedelta | None) -> None:
    assert plan(ahead, closed).work([talk(MINUTE)], LEAST) is None
    assert plan(ahead, closed).rest([], LEAST) is None


@pytest.mark.parametrize("closed", [None, 60 * MINUTE, 90 * MINUTE])
@pytest.mark.parametrize("cancelled", [True, False])
def test_one_that_stood_until_its_time_is_work_whatever_came_of_it(closed: timedelta | None, cancelled: bool) -> None:
    known = plan(60 * MINUTE, closed, cancelled=cancelled)
    work = known.work([], LEAST)
    assert work is not None
    assert (work.at, work.clock_from) == (MADE, MADE + 60 * MINUTE)
    assert known.rest([], LEAST) is None


@pytest.mark.parametrize("cancelled", [True, False])
def test_one_that_is_closed_before_its_time_only_stopped_the_clock(cancelled: bool) -> None:
    known = plan(60 * MINUTE, 20 * MINUTE, cancelled=cancelled)
    assert known.work([], LEAST) is None
    assert known.rest([], LEAST) == Rest(MADE, MADE + 20 * MINUTE)


@pytest.mark.parametrize(
    ("spoken", "counts"),
    [
        (talk(10 * MINUTE), True),
        (talk(10 * MINUTE, seconds=10), False),  # too short
        (talk(-MINUTE), False),  # before the task
        (talk(22 * MINUTE, seconds=300), True),  # done while they talk
        (talk(30 * MINUTE), False),  # afterwards
    ],
)
def test_done_early_it_is_work_if_the_client_was_talked_to_meanwhile(spoken: Talk, counts: bool) -> None:
    known = plan(60 * MINUTE, 20 * MINUTE)
    work = known.work([spoken], LEAST)
    assert (work is not None) == counts
    assert work is None or work.clock_from == MADE + 20 * MINUTE
    assert (known.rest([spoken], LEAST) is None) == counts
    assert plan(60 * MINUTE, 20 * MINUTE, cancelled=True).work([spoken], LEAST) is None
