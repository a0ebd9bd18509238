from datetime import timedelta
from decimal import Decimal

import pytest

from pbxcrm.shared.reasons import reason
from tests.unit.web.conftest import NOON, place
from web import formats, words
from web.i18n import Language, speaking


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (timedelta(hours=2, minutes=5), "today 14:05"),
        (timedelta(hours=11, minutes=59), "today 23:59"),
        (timedelta(hours=12), "tomorrow 00:00"),
        (-timedelta(hours=12, seconds=1), "yesterday 23:59"),
        (timedelta(days=2), "Fri 20 Nov 12:00"),
        (-timedelta(days=6), "Thu 12 Nov 12:00"),
        (-timedelta(days=15), "3 Nov 12:00"),
        (-timedelta(days=365), "18 Nov 2025"),
    ],
)
def test_days_are_those_of_the_reader(offset: timedelta, text: str) -> None:
    assert formats.day_time(NOON + offset).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("language", "text"), [(Language.UK, "вчора 12:00"), (Language.RU, "вчера 12:00")])
def test_days_in_the_readers_language(language: Language, text: str) -> None:
    with speaking(place(language)):
        assert formats.day_time(NOON - timedelta(days=1)).replace("\u00a0", " ") == text


def test_names_of_the_locale_data_have_the_apostrophe_of_our_texts() -> None:
    with speaking(place(Language.UK)):
        assert formats.full_time(NOON + timedelta(days=2)).startswith("п’ятниця")
        assert formats.with_apostrophes(place(Language.UK).locale.territories["VN"]) == "В’єтнам"


@pytest.mark.usefixtures("english")
def test_the_hint_on_hover_is_complete() -> None:
    assert formats.full_time(NOON) == "Wednesday, 18 November 2026, 12:00:00"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (48.9, "0:48"), (725, "12:05"), (3753, "1:02:33"), (-3, "0:00")]
)
def test_lengths_of_calls(seconds: float, text: str) -> None:
    assert formats.clock_seconds(seconds) == text


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "now"),
        (60, "1 min"),
        (34 * 60, "34 min"),
        (7200, "2 h"),
        (7800, "2 h 10 min"),
        (11 * 3600 + 600, "11 h"),
        (3 * 86400 + 5, "3 d"),
    ],
)
def test_waits_are_short_words(seconds: float, text: str) -> None:
    assert formats.span(seconds).replace("\u00a0", " ") == text


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "under a minute"), (0.9, "under a minute"), (1, "1 min"), (125, "2 h 5 min")]
)
def test_what_took_no_time_was_not_now(minutes: float, text: str) -> None:
    assert formats.took(minutes).replace("\u00a0", " ") == text


def test_money_in_each_language() -> None:
    with speaking(place(Language.EN)):
        assert formats.money(Decimal("48000.00")) == "48,000\u00a0₴"
        assert formats.money(Decimal("1200.5"), "EUR") == "1,200.50\u00a0€"
        assert formats.money(None) == "—"
    with speaking(place(Language.UK)):
        assert formats.money(48000) == "48\u00a0000\u00a0₴"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Olena Shevchenko", "OS"),
        ("Марта", "М"),
        ("  ", "?"),
        ("<script>", "?"),
        ("Ivan (old) Koval", "IK"),
        ("😀 A", "A"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert formats.initials(name) == letters


def test_a_name_keeps_its_colour() -> None:
    assert formats.tint("Olena") == formats.tint("Olena")
    assert all(0 <= formats.tint(name) < 8 for name in ("", "Olena", "Марта"))


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "now"), (34, "34 min"), (130, "2 h 10 min"), (540, "9 h"), (1440, "24 h"), (2880.5, "48 h")],
)
def test_working_time_is_said_in_hours_since_no_working_day_has_24(minutes: float, said: str) -> None:
    assert formats.working_span(minutes).replace("\u00a0", " ") == said


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (60, "1 h"),
        (540, "1 working d (9 h)"),
        (600, "10 h"),
        (1560, "2 working d 8 h (26 h)"),
        (32400, "60 working d (540 h)"),
    ],
)
def test_a_long_wait_is_said_in_days_and_hours(minutes: int, said: str) -> None:
    assert formats.working_days(minutes).replace("\u00a0", " ") == said
    (told,) = words.because(reason("automation.waits_time", wait_minutes=minutes).stored())
    assert told.replace("\u00a0", " ") == f"It goes on after {said} of working time."


@pytest.mark.usefixtures("english")
def test_a_norm_in_days_says_its_hours() -> None:
    assert [words.norm(minutes).replace("\u00a0", " ") for minutes in (1080, 2880, 90)] == [
        "2 working d (18 h)",
        "48 h",
        "1 h 30 min",
    ]


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("minutes", "days", "said"), [(130, 0, "2 h 10 min"), (1380, 3, "23 h"), (2231 * 60, 93, "93 d")]
)
def test_a_long_wait_is_said_in_days(minutes: float, days: int, said: str) -> None:
    """Working time up to a day of it; then the days since it began, however many hours a working day has."""
    assert formats.waited(minutes, NOON - timedelta(days=days)).replace("\u00a0", " ") == said
