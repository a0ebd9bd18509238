"""When a lamp is due, against a reference that looks at one minute after the other."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.models import WorkKind
from pbxcrm.checkpoints.rules import (
    Base,
    Rest,
    Stay,
    Work,
    WouldLight,
    base_of,
    due_of,
    pieces,
    worked_between,
    would_light,
)

MINUTE = timedelta(minutes=1)
KYIV = ZoneInfo("Europe/Kyiv")
OFFICE = WorkingTime(KYIV, (((540, 780), (840, 1080)),) * 5 + ((),) * 2)
NIGHTS = WorkingTime(KYIV, (((1320, 1800),),) * 7)
FRIDAY = datetime(2026, 10, 23, 6, tzinfo=UTC)  # the clocks go back in the second night

starts = st.integers(0, 5 * 1440).map(lambda minutes: FRIDAY + timedelta(minutes=minutes))
rests = st.lists(
    st.builds(lambda since, minutes: Rest(since, since + timedelta(minutes=minutes)), starts, st.integers(0, 2000)),
    max_size=3,
)
calendars = st.sampled_from([OFFICE, NIGHTS])


def counts(working: WorkingTime, moment: datetime, pauses: Sequence[Rest]) -> bool:
    return working.is_working(moment) and not any(rest.since <= moment < rest.until for rest in pauses)


@settings(max_examples=60)
@given(calendars, starts, st.integers(1, 900), rests)
@example(OFFICE, FRIDAY, 240, [Rest(FRIDAY, FRIDAY + timedelta(days=3))])
@example(
    OFFICE, FRIDAY, 480 + 240, [Rest(FRIDAY + timedelta(hours=10), FRIDAY + timedelta(hours=20))]
)  # a night is paused
def test_a_lamp_is_due_with_the_minute_that_completes_the_norm(
    working: WorkingTime, since: datetime, norm: int, pauses: list[Rest]
) -> None:
    due = due_of(working, since, norm, pauses)
    left, moment = norm, since
    while left:
        left -= counts(working, moment, pauses)
        moment += MINUTE
    assert due == moment
    assert worked_between(working, since, due, pauses) == norm
    assert sum((ends - begins) / MINUTE for begins, ends in pieces(working, since, due, pauses)) == norm


def work(minutes: int, kind: WorkKind = WorkKind.TALKED, silent_for: int = 0) -> Work:
    at = FRIDAY + timedelta(minutes=minutes)
    return Work(at, kind, f"{kind}:{minutes}", at + timedelta(minutes=silent_for))


def test_the_clock_runs_from_the_work_that_keeps_it_silent_longest() -> None:
    planned = work(10, WorkKind.NEXT_TASK, silent_for=3000)
    assert base_of(FRIDAY, [work(-5), planned, work(20)]) == Base(planned.clock_from, planned.key)
    assert base_of(FRIDAY, [work(-5)]) == Base(FRIDAY, "")


works = st.lists(
    st.builds(work, st.integers(0, 4000), st.sampled_from(WorkKind), st.sampled_from([0, 0, 500])), max_size=6
).map(lambda found: sorted(found, key=lambda each: each.at))


@settings(max_examples=60)
@given(calendars, st.integers(0, 5000), works, rests, st.integers(5, 400), st.integers(5, 200))
def test_a_stay_lights_what_minute_by_minute_would_light(
    working: WorkingTime, length: int, done: list[Work], pauses: list[Rest], norm: int, pause: int
) -> None:
    left_at = FRIDAY + timedelta(minutes=length)
    assume(len({each.at for each in done}) == len(done))
    found = would_light(Stay(FRIDAY, left_at, done, pauses), working, (norm, pause))
    assert found == slowly(left_at, done, pauses, working, (norm, pause))


def slowly(
    left_at: datetime, done: list[Work], pauses: list[Rest], working: WorkingTime, minutes: tuple[int, int]
) -> list[WouldLight]:
    """Obviously right: a minute at a time, with what has passed since the clock began."""
    lamps: list[WouldLight] = []
    burning: list[int] = []
    clock_from, passed, step = FRIDAY, 0, 0
    moment = FRIDAY
    while moment < left_at:
        for each in done:
            if each.at == moment:
                lamps = [
                    WouldLight(lamp.step, lamp.lit_at, moment) if number in burning else lamp
                    for number, lamp in enumerate(lamps)
                ]
                clock_from = max(each.clock_from, moment) if burning else max(clock_from, each.clock_from)
                if burning or clock_from == each.clock_from:
                    passed, step = 0, 0
                burning = []
        if moment >= clock_from and counts(working, moment, pauses):
            passed += 1
        moment += MINUTE
        if step < 2 and passed == minutes[step] and moment < left_at and not any(each.at == moment for each in done):
            lamps.append(WouldLight(step, moment, None))
            burning.append(len(lamps) - 1)
            passed, step = 0, step + 1
    return lamps
