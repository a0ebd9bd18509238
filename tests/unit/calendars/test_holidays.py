"""What is suggested for a calendar, and what is said not to be known."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from pbxcrm.calendars.holidays import Lack, Suggestion, SuggestionKind, countries, suggest
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.shared.errors import Invalid

OFFICE = WorkingTime(ZoneInfo("Europe/Kyiv"), (((540, 780), (840, 1080)),) * 5 + ((),) * 2)


def of(kind: SuggestionKind, rows: list[Suggestion]) -> dict[date, Suggestion]:
    return {row.day: row for row in rows if row.kind is kind}


def test_days_that_the_law_suspends_come_unticked_and_it_is_said() -> None:
    found = suggest("UA", 2026, "uk", OFFICE)
    suspended = of(SuggestionKind.SUSPENDED, found.rows)
    assert suspended[date(2026, 8, 24)].name == "День незалежності України"
    assert not any(row.is_chosen for row in suspended.values())
    assert of(SuggestionKind.HOLIDAY, found.rows) == {}
    assert Lack.ALL_SUSPENDED in found.lacks


def test_moved_working_days_and_short_days_have_hours() -> None:
    found = suggest("UA", 2021, "en", OFFICE)
    moved = of(SuggestionKind.MOVED, found.rows)
    assert moved[date(2021, 10, 23)].spans == "09:00-13:00, 14:00-18:00"  # a Saturday worked for a Friday
    assert moved[date(2021, 10, 23)].is_chosen
    short = of(SuggestionKind.SHORT, found.rows)
    assert short[date(2021, 10, 13)].spans == "09:00-13:00, 14:00-17:00"
    assert Lack.NO_MOVED_DAYS not in found.lacks


def test_a_day_off_that_stands_for_another_one_is_a_known_decision() -> None:
    found = suggest("RU", 2026, "en", OFFICE)
    assert of(SuggestionKind.HOLIDAY, found.rows)[date(2026, 1, 9)].name == "Day off (substituted from 2026-01-03)"
    assert found.lacks == []


def test_a_country_that_moves_days_by_decree_says_that_none_are_known() -> None:
    assert Lack.NO_MOVED_DAYS in suggest("HU", 2090, "en", OFFICE).lacks
    assert suggest("PL", 2026, "en", OFFICE).lacks == []


@pytest.mark.parametrize(
    ("country", "year", "field"), [("XX", 2026, "country"), ("UA", 1999, "year"), ("UA", 2101, "year")]
)
def test_what_nobody_knows_is_refused(country: str, year: int, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        suggest(country, year, "en", OFFICE)
    assert refused.value.field == field


def test_every_country_of_the_library_can_be_asked() -> None:
    for country in countries():
        suggest(country, 2026, "uk", OFFICE)
