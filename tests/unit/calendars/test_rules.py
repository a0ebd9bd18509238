"""What people type of working time."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.rules import check_days, check_week, format_spans, parse_spans
from pbxcrm.shared.errors import Invalid

minutes = st.integers(0, 24 * 60 - 1)
spans = st.tuples(minutes, st.integers(1, 24 * 60)).map(lambda span: (span[0], span[0] + span[1]))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", ""),
        ("9-18", "09:00-18:00"),
        ("09:00\u201313:00;14.00 \u2014 18.00", "09:00-13:00, 14:00-18:00"),
        ("14:00-18:00, 9:00-13:00,", "09:00-13:00, 14:00-18:00"),
        ("22:00-06:00", "22:00-06:00"),
        ("0-24", "00:00-24:00"),
        ("9:00-0:00", "09:00-24:00"),
        ("09:00-09:00", "09:00-09:00"),
    ],
)
def test_a_day_is_read_as_people_type_it(typed: str, shown: str) -> None:
    assert format_spans(parse_spans(typed)) == shown


@pytest.mark.parametrize(
    "typed", ["all day", "9", "9-", "-18", "9-25", "9:75-10:00", "24:01-6", "9-12-18", "९-१८", "9:0-18", "1e1-12"]
)
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_spans(typed)


@given(st.lists(spans, max_size=5))
def test_what_is_shown_reads_as_it_was(day: list[tuple[int, int]]) -> None:
    assert parse_spans(format_spans(day)) == tuple(sorted(day))


@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("9-13, 12-18", "calendars.overlap"),
        ("18:00-9:00, 20-22", "calendars.overlap"),
        ("10:00-09:00", "calendars.backwards"),
        ("13:00-09:00", "calendars.backwards"),  # twenty hours
        ("nine to five", "calendars.spans"),
    ],
)
def test_hours_that_cannot_be_are_refused(day: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_week([day, *[""] * 6])
    assert (refused.value.field, refused.value.code) == ("day_0", code)


def test_a_night_shift_does_not_run_into_the_next_day() -> None:
    check_week(["22-6", "6-14", *[""] * 5])
    check_week(["9-9"] * 7)  # a duty of a day and a night
    with pytest.raises(Invalid) as refused:
        check_week(["", "22-6", "5-14", *[""] * 4])
    assert (refused.value.field, refused.value.code) == ("day_1", "calendars.overlap_night")
    with pytest.raises(Invalid) as refused:
        check_week(["5-14", *[""] * 5, "22-6"])  # the week has no end
    assert refused.value.field == "day_6"


def test_a_date_is_there_once() -> None:
    rows = [(date(2026, 8, 24), "", "Independence"), (date(2026, 8, 22), "9-14", " moved \n day ")]
    assert [(row.day.day, row.name) for row in check_days(rows)] == [(22, "moved day"), (24, "Independence")]
    with pytest.raises(Invalid) as refused:
        check_days([*rows, (date(2026, 8, 24), "9-14", "")])
    assert refused.value.field == "days_2"


def test_a_name_that_is_too_long_is_refused_and_not_cut() -> None:
    rows = [(date(2026, 8, 24), "", "x" * 100), (date(2026, 8, 25), "", "x" * 101)]
    assert check_days(rows[:1])[0].name == "x" * 100
    with pytest.raises(Invalid) as refused:
        check_days(rows)
    assert (refused.value.field, refused.value.code, refused.value.params) == ("days_1", "form.too_long", {"most": 100})
