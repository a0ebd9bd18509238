"""Public holidays of a country and year, as suggestions for a calendar: a person must confirm them first.

The ``holidays`` library knows most countries, but yearly decisions of governments reach it late or never. What it does not know
is shown as a warning (``Lack``), never guessed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from pbxcrm.calendars.rules import format_spans
from pbxcrm.calendars.working_time import Span, WorkingTime
from pbxcrm.shared.errors import Invalid

_AMERICAN = re.compile(r"\b([01][0-9])/([0-3][0-9])/([0-9]{4})\b")  # the library's dates in English; we write ISO
SHORTER = 60  # minutes less on the day before a holiday
FIRST_YEAR, LAST_YEAR = 2000, 2100


class SuggestionKind(StrEnum):
    """Why a date is suggested as different from its weekday."""

    HOLIDAY = "holiday"
    SUSPENDED = "suspended"  # a holiday that is temporarily a working day by law
    MOVED = "moved"  # a weekend day worked in exchange for another day
    SHORT = "short"  # the working day before a holiday


class Lack(StrEnum):
    """What is not known of a country's holidays in a year; pages warn of it."""

    NO_MOVED_DAYS = "no_moved_days"  # the country moves working days, but none are known for this year
    ALL_SUSPENDED = "all_suspended"  # by law all holidays of this year are working days


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggested row for a calendar. ``is_chosen``: whether it is ticked by default."""

    day: date
    spans: str  # as ``parse_spans`` reads them; empty: a day off
    name: str
    kind: SuggestionKind
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Suggested dates of a year, and what is not known of the year."""

    rows: list[Suggestion]
    lacks: list[Lack]


@cache
def countries() -> tuple[str, ...]:
    """ISO 3166 codes of the countries that the library knows, in order."""
    import holidays  # noqa: PLC0415  # 2 MB per process, needed about once a year

    return tuple(sorted(code for code in holidays.list_supported_countries(include_aliases=False) if len(code) == 2))


def suggest(country: str, year: int, language: str, working: WorkingTime) -> Suggestions:
    """Suggest the holidays of ``country`` in ``year``, named in ``language`` if the library has it; raises Invalid."""
    import holidays  # noqa: PLC0415  # as above

    if country not in countries():
        raise Invalid("country", "calendars.country", "Choose a country.")
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Invalid("year", "calendars.year", "Choose a year between {first} and {last}.", first=2000, last=2100)
    known = holidays.country_holidays(country)
    has_suspended = holidays.WORKDAY in known.supported_categories
    said_in = _language(language, known.supported_languages)
    public = holidays.country_holidays(country, years=year, categories=(holidays.PUBLIC,), language=said_in)
    suspended = (
        holidays.country_holidays(country, years=year, categories=(holidays.WORKDAY,), language=said_in)
        if has_suspended and _suspends(country, year)
        else {}
    )
    off = {day: _AMERICAN.sub(r"\3-\1-\2", str(name)) for day, name in public.items() if day.year == year}
    worked = {day: str(name) for day, name in suspended.items() if day.year == year and day not in off}
    moved = sorted(day for day in public.weekend_workdays if day.year == year)
    rows = [
        *(Suggestion(day, "", name, SuggestionKind.HOLIDAY, True) for day, name in off.items()),
        *(Suggestion(day, "", name, SuggestionKind.SUSPENDED, False) for day, name in worked.items()),
        *(Suggestion(day, _usual(working), "", SuggestionKind.MOVED, True) for day in moved),
        *_short_days(off, set(moved), working),
    ]
    lacks = []
    if not moved and not _has_substituted(public, off.values()) and _moves_days(country):
        lacks.append(Lack.NO_MOVED_DAYS)
    if worked and not off:
        lacks.append(Lack.ALL_SUSPENDED)
    return Suggestions(sorted(rows, key=lambda row: (row.day, row.kind)), lacks)


@cache
def _moves_days(country: str) -> bool:
    """Whether the country turned weekend days into working days in the years 2012 to 2025."""
    import holidays  # noqa: PLC0415  # as above

    return bool(holidays.country_holidays(country, years=range(2012, 2026)).weekend_workdays)


def _has_substituted(public: Any, names: Iterable[str]) -> bool:
    """Whether a day off stands for another one: then the decision of the year is known, also if no weekend is worked by it."""
    label = getattr(public, "substituted_label", None)
    begin = public.tr(label).split("%s")[0] if label else ""
    return bool(begin) and any(begin in name for name in names)


def _suspends(country: str, year: int) -> bool:
    """Whether the library's working-day holidays are suspended days off, not days that were always worked.

    In Ukraine they are all holidays since martial law began in 2022; elsewhere they are minor feasts, which are not suggested.
    """
    return country == "UA" and year >= 2022


def _language(wanted: str, supported: tuple[str, ...]) -> str | None:
    for name in (wanted, f"{wanted}_US"):
        if name in supported:
            return name
    return None


def _usual(working: WorkingTime) -> str:
    """The hours of the first weekday that has any: the default for a moved day."""
    return format_spans(next((day for day in working.week if day), ()))


def _short_days(off: dict[date, str], moved: set[date], working: WorkingTime) -> Iterator[Suggestion]:
    for day, name in off.items():
        eve = day - timedelta(days=1)
        spans = working.week[eve.weekday()] if eve not in moved else ()
        if not spans or eve in off or eve.year != day.year:
            continue
        yield Suggestion(eve, format_spans(_shorter(spans)), name, SuggestionKind.SHORT, False)


def _shorter(spans: tuple[Span, ...]) -> list[Span]:
    """``spans`` without the last ``SHORTER`` minutes of work."""
    left, shorter = SHORTER, list(spans)
    while shorter and left:
        start, end = shorter.pop()
        if end - start > left:
            shorter.append((start, end - left))
            left = 0
        else:
            left -= end - start
    return shorter
