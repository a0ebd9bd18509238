"""How many times per second working minutes are added, up to ten years ahead, and counted between two times."""

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pbxcrm.calendars.working_time import WorkingTime
from tests.bench.table import Figure

COUNT = 200_000
YEARS = 10
GOAL = 100_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def office() -> WorkingTime:
    """Nine to six with a break, some short days, twelve days off a year, an overnight shift on Fridays."""
    day = ((9 * 60, 13 * 60), (14 * 60, 18 * 60))
    night = (*day, (22 * 60, 30 * 60))
    off = {date(year, month, 1): () for year in range(2026, 2026 + 2 * YEARS) for month in range(1, 13)}
    short = {date(year, month, 24): ((9 * 60, 12 * 60),) for year in range(2026, 2026 + 2 * YEARS) for month in (3, 12)}
    return WorkingTime(ZoneInfo("Europe/Kyiv"), (day, day, day, day, night, (), ()), {**off, **short})


def run() -> list[Figure]:
    working, dice = office(), random.Random(1)
    starts = [BEGIN + timedelta(seconds=dice.randrange(365 * 86400)) for _ in range(COUNT)]
    a_year = working.minutes_between(BEGIN, BEGIN + timedelta(days=365))
    ahead = [dice.uniform(0, YEARS * a_year) for _ in range(COUNT)]
    norms = [dice.choice((15, 60, 480, 1620, 4800)) for _ in range(COUNT)]
    for year in range(2026, 2026 + YEARS + 2):
        working.is_working(datetime(year, 6, 1, tzinfo=UTC))  # fills the cache, as in a running process
    ends = [working.add_minutes(start, minutes) for start, minutes in zip(starts[:1000], ahead, strict=False)]
    assert all(
        abs(working.minutes_between(start, end) - minutes) < 1
        for start, end, minutes in zip(starts, ends, ahead, strict=False)
    )
    return [
        _figure("additions of norms (15 minutes to 10 days)", working.add_minutes, starts, norms),
        _figure(f"additions up to {YEARS} years ahead", working.add_minutes, starts, ahead, GOAL),
        _figure("minutes between two moments up to a year apart", working.minutes_between, starts, starts[::-1]),
        _laid_out(),
    ]


def _figure(
    name: str, work: Callable[..., object], first: Sequence[object], second: Sequence[object], goal: int = 0
) -> Figure:
    began = time.process_time()
    for one, other in zip(first, second, strict=True):
        work(one, other)
    speed = COUNT / (time.process_time() - began)
    return Figure(name, f"{speed:,.0f} a second of CPU", f"{goal:,}" if goal else "", speed >= goal if goal else None)


def _laid_out() -> Figure:
    began = time.process_time()
    office().add_minutes(BEGIN, 1)
    return Figure("the first one in a year, which is laid out then", f"{(time.process_time() - began) * 1000:.1f} ms")
