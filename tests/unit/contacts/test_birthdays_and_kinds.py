"""Birthdays as people type them, ages and nearness with the leap day; kinds of numbers by what stands beside them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.contacts.birthday_rules import age_on, celebrated, days_near, iso_birthday, read_birthday
from pbxcrm.contacts.kind_rules import check_kind, kind_of
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import Written

TODAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("31.12.1990", (1990, 1231)),
        (" 1.2.1985 ", (1985, 201)),
        ("31/12/1990", (1990, 1231)),
        ("1990-12-31", (1990, 1231)),
        ("--02-29", (None, 229)),
        ("29.2", (None, 229)),
        ("29.02.2000", (2000, 229)),
        ("28.11.2026", (2026, 1128)),
        ("", (None, None)),
    ],
)
def test_birthdays_as_people_type_them(typed: str, known: tuple[int | None, int | None]) -> None:
    assert read_birthday(typed, TODAY) == known


@pytest.mark.parametrize(
    "typed",
    ["29.02.1990", "31.11", "29.11.2026", "1.1.1899", "yesterday", "12.1990", "<b>", "0.0", "1990-13-01"],
)
def test_other_texts_are_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_birthday(typed, TODAY)
    assert (refused.value.field, refused.value.code) == ("birthday", "contacts.birthday")


@given(st.dates(date(1900, 1, 1), TODAY), st.booleans())
def test_what_is_shown_to_programs_is_read_again(born: date, with_year: bool) -> None:
    known = (born.year if with_year else None, born.month * 100 + born.day)
    assert read_birthday(iso_birthday(*known) or "", TODAY) == known


def test_ages_and_the_leap_day() -> None:
    assert age_on(date(2026, 12, 30), 1990, 1231) == 35
    assert age_on(date(2026, 12, 31), 1990, 1231) == 36
    assert age_on(date(2026, 2, 27), 2004, 229) == 21
    assert age_on(date(2026, 2, 28), 2004, 229) == 22
    assert age_on(date(2028, 2, 28), 2004, 229) == 23
    assert age_on(date(2028, 2, 29), 2004, 229) == 24
    assert age_on(TODAY, None, 229) is None


@given(st.dates(date(2024, 1, 1), date(2032, 12, 31)), st.integers(0, 366), st.integers(1, 366))
def test_near_is_what_comes_within_the_days(today: date, days: int, born: int) -> None:
    """Compared with a walk over the days of the calendar."""
    day_of = date.fromordinal(date(2000, 1, 1).toordinal() + born - 1)
    day = day_of.month * 100 + day_of.day
    walk = (date.fromordinal(today.toordinal() + ahead) for ahead in range(days + 1))
    comes = any(celebrated(day, each.year) == each.month * 100 + each.day for each in walk)
    assert (day in days_near(today, days)) == comes


def test_kinds_by_what_stands_beside_a_number() -> None:
    assert kind_of(Written("+380442001020", name="роб.")) == ("work", "")
    assert kind_of(Written("+380442001020", name="Домашній")) == ("home", "")
    assert kind_of(Written("+380442001020", name="Reception")) == ("", "Reception")
    assert kind_of(Written("+380671112233")) == ("mobile", "")
    assert kind_of(Written("+380671112233", name="work")) == ("work", "")
    assert kind_of(Written("101")) == ("", "")
    assert check_kind("home", "emails", of_email=True) == "home"
    with pytest.raises(Invalid):
        check_kind("mobile", "emails", of_email=True)
    with pytest.raises(Invalid):
        check_kind("fax", "phones")
