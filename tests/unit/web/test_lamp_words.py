"""The arithmetic of a lamp in words: the stretches of working time that were counted, in the reader's zone and language."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.models import Stage
from web.i18n import Here, Language, speaking
from web.lamp_words import arithmetic
from web.reason_params import said

ENTERED, LIT = datetime(2026, 11, 2, 15, 40, tzinfo=UTC), datetime(2026, 11, 3, 15, 40, tzinfo=UTC)  # Kyiv: 17:40
WORKED = [
    ["2026-11-02T15:40:00+00:00", "2026-11-02T16:00:00+00:00"],
    ["2026-11-03T07:00:00+00:00", "2026-11-03T11:00:00+00:00"],
    ["2026-11-03T12:00:00+00:00", "2026-11-03T15:40:00+00:00"],
]


def lamp(step: int = 0, worked: list[list[str]] = WORKED) -> Lamp:
    return Lamp(
        checkpoint_id=1, step=step, subject="deal", entry="m1:", entered_at=ENTERED, minutes=480, due_at=LIT, lit_at=LIT, worked=worked,
        reason={"code": "lamp.stage"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            Language.EN,
            (
                "Since Mon 2 Nov 17:40 in “Proposal sent” without work; norm 8 h of working time; "
                "Mon 2 Nov 17:40–18:00, Tue 3 Nov 09:00–13:00, 14:00–17:40; lit Tue 3 Nov 17:40."
            ),
        ),
        (
            Language.UK,
            (
                "З пн 2 лист. 17:40 на етапі «Пропозицію надіслано» без роботи; норма 8 год робочого часу: "
                "пн 2 лист. 17:40–18:00, вт 3 лист. 09:00–13:00, 14:00–17:40; загорілася вт 3 лист. 17:40."
            ),
        ),
    ],
)
def test_entered_norm_pieces_lit(language: Language, said: str) -> None:
    stage = Stage(pipeline_id=1, name="Proposal sent", kind="open", position=1)
    with speaking(Here(language, ZoneInfo("Europe/Kyiv"), LIT)):
        assert [each.replace("\u00a0", " ") for each in arithmetic(lamp(), stage)] == [said]


def test_a_later_step_and_a_gap() -> None:
    with speaking(Here(Language.EN, ZoneInfo("Europe/Kyiv"), LIT)):
        (said,) = arithmetic(lamp(1, [WORKED[0], [], WORKED[2]]), None)
    assert said.replace("\u00a0", " ") == (
        "The previous lamp lit Mon 2 Nov 17:40; 8 h of working time after it; "
        "Mon 2 Nov 17:40–18:00, …, Tue 3 Nov 14:00–17:40; lit Tue 3 Nov 17:40."
    )


def test_one_that_lit_before_its_arithmetic_was_kept_says_nothing() -> None:
    assert arithmetic(lamp(worked=[]), None) == []


KYIV = ZoneInfo("Europe/Kyiv")
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
PART = re.compile(
    r"(?:\w{3} (\d+) (\w{3})(?: (\d{4}))? )?(\d\d):(\d\d)–(?:\w{3} (\d+) (\w{3})(?: (\d{4}))? )?(\d\d):(\d\d)"
)


def spoken(zone: ZoneInfo, *stretches: tuple[datetime, datetime]) -> str:
    stored = " ".join(f"{begins.isoformat()}/{ends.isoformat()}" for begins, ends in stretches)
    with speaking(Here(Language.EN, zone, LIT)):
        return said({"stretches": stored})["stretches"].replace("\u00a0", " ")


def read_back(text: str) -> list[tuple[datetime, datetime]]:
    """The parts as a reader understands them, on the clock on the wall."""
    day = datetime(1, 1, 1)  # noqa: DTZ001 - as it is read
    found = []

    def moment(number: str | None, month: str | None, year: str | None, hours: str, minutes: str) -> datetime:
        nonlocal day
        if number and month:
            day = datetime(int(year or LIT.year), MONTHS.index(month) + 1, int(number))  # noqa: DTZ001
        return day + timedelta(hours=int(hours), minutes=int(minutes))

    for part in text.split(", "):
        match = PART.match(part)
        assert match is not None, part
        found.append((moment(*match.group(1, 2, 3, 4, 5)), moment(*match.group(6, 7, 8, 9, 10))))
    return found


@pytest.mark.parametrize(
    ("begins", "ends", "text"),
    [
        # day and night, over the night in which the clocks go back
        ((2026, 10, 20, 8, 52), (2026, 10, 25, 8, 52), "Tue 20 Oct 11:52–Sun 25 Oct 04:00 (the clocks change), 03:00–10:52"),
        ((2026, 10, 25, 0, 40), (2026, 10, 25, 1, 10), "Sun 25 Oct 03:40–04:00 (the clocks change), 03:00–03:10"),
        ((2026, 3, 28, 22, 0), (2026, 3, 29, 6, 0), "Sun 29 Mar 00:00–03:00 (the clocks change), 04:00–09:00"),
        ((2026, 10, 5, 5, 52), (2026, 10, 9, 5, 52), "Mon 5 Oct 08:52–Fri 9 Oct 08:52"),
        ((2026, 10, 5, 15, 0), (2026, 10, 5, 21, 0), "Mon 5 Oct 18:00–24:00"),
        ((2025, 12, 31, 20, 0), (2026, 1, 1, 1, 0), "Wed 31 Dec 2025 22:00–Thu 1 Jan 03:00"),
    ],
)  # fmt: skip
def test_a_stretch_over_several_days_says_both(begins: tuple[int, ...], ends: tuple[int, ...], text: str) -> None:
    assert spoken(KYIV, (datetime(*begins, tzinfo=UTC), datetime(*ends, tzinfo=UTC))) == text  # type: ignore[arg-type,misc]


BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
MINUTES = st.integers(1, 20 * 1440)


@given(
    st.sampled_from(["Europe/Kyiv", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    st.integers(0, 2 * 365 * 1440),
    st.lists(st.tuples(MINUTES, MINUTES), min_size=1, max_size=4),
)
@example("Europe/Kyiv", 427 * 1440, [(60, 2880)])
def test_no_stretch_runs_backwards_and_all_add_up(zone: str, first: int, lengths: list[tuple[int, int]]) -> None:
    reached, stretches = BEGIN + timedelta(minutes=first), []
    for gap, length in lengths:
        begins = reached + timedelta(minutes=gap)
        reached = begins + timedelta(minutes=length)
        stretches.append((begins, reached))
    parts = read_back(spoken(ZoneInfo(zone), *stretches))
    assert all(begins < ends for begins, ends in parts)
    assert sum((ends - begins for begins, ends in parts), timedelta(0)) == sum(
        (ends - begins for begins, ends in stretches), timedelta(0)
    )
    assert parts[0][0] == stretches[0][0].astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert parts[-1][1] == stretches[-1][1].astimezone(ZoneInfo(zone)).replace(tzinfo=None)
