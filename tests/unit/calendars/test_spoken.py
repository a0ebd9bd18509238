"""Deadlines as people say them, in three languages."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.calendars.working_time import WorkingTime
from web import i18n, words

KYIV = ZoneInfo("Europe/Kyiv")
WEEK = WorkingTime(KYIV, (((9 * 60, 13 * 60), (14 * 60, 18 * 60)),) * 5 + ((),) * 2, {date(2026, 12, 25): ()})
FRIDAY = datetime(2026, 11, 27, 13, 30, tzinfo=KYIV).astimezone(UTC)


def read(text: str, now: datetime = FRIDAY) -> str:
    found = read_deadline(text, now, WEEK)
    return found.astimezone(KYIV).strftime("%d.%m.%Y %H:%M") if found is not None else ""


@pytest.mark.parametrize(
    ("texts", "at"),
    [
        ("in 2 h | 2h | 2 hours | in two hours | через два часа | через дві години | через 2 години | 2 год | через 2 часа", "27.11.2026 16:00"),  # lunch does not count
        ("in an hour | через годину | через час", "27.11.2026 15:00"),
        ("in half an hour | через пів години | півгодини | через полчаса", "27.11.2026 14:30"),
        ("1h30m | 1.5 h | через півтори години | через полтора часа", "27.11.2026 15:30"),
        ("in 10 min | через 10 хв | через 10 минут", "27.11.2026 14:10"),
        ("in 6 h | через 6 годин | через 6 часов", "30.11.2026 11:00"),  # the weekend does not count
        ("in 3 days | через 3 дні | через 3 робочі дні | через 3 дня", "02.12.2026 13:30"),
        ("in a week | через тиждень | через неделю", "04.12.2026 13:30"),
        ("in a year | через рік | через год", "27.11.2027 13:30"),
        ("in a quarter of an hour | через чверть години | через четверть часа", "27.11.2026 14:15"),  # now it is lunch
        ("in a couple of hours | через пару годин | через пару часов", "27.11.2026 16:00"),
        ("in eleven hours | через одинадцять годин | через одиннадцать часов", "30.11.2026 17:00"),
        ("within an hour | протягом години | в течение часа", "27.11.2026 15:00"),
        ("during the day | протягом дня | в течение дня", "27.11.2026 18:00"),
        ("tomorrow morning | завтра зранку | завтра утром", "30.11.2026 09:00"),  # the next working morning
        ("tomorrow | завтра | next working day | наступний робочий день", "30.11.2026 18:00"),
        ("tomorrow 15:00 | завтра о 15:00 | завтра в 15 | tomorrow 3pm | Завтра о 15 год", "30.11.2026 15:00"),
        ("fri 15:00 | пт 15:00 | у п’ятницю о 15:00 | в пятницу в 15:00", "27.11.2026 15:00"),
        ("fri 9:00 | пт 9:00 | у п'ятницю зранку | в пятницу утром", "04.12.2026 09:00"),  # this one is over
        ("monday | до понеділка | в понедельник | к понедельнику | this monday", "30.11.2026 18:00"),
        ("by friday | до п’ятниці | к пятнице | у цю п'ятницю | в эту пятницу | до пятниці | end of friday", "27.11.2026 18:00"),
        ("by tuesday | до вівторка | ко вторнику", "01.12.2026 18:00"),
        ("by wednesday | до середи | к среде | у середу", "02.12.2026 18:00"),
        ("by thursday | до четверга | к четвергу", "03.12.2026 18:00"),
        ("by saturday | до суботи | к субботе", "28.11.2026 18:00"),
        ("by sunday | до неділі | к воскресенью", "29.11.2026 18:00"),
        ("next friday | friday next week | у п'ятницю наступного тижня | в следующую пятницу", "04.12.2026 18:00"),
        ("end of the week | до кінця тижня | к концу недели | this week | цього тижня | до конца рабочей недели", "27.11.2026 18:00"),
        ("end of next week | до кінця наступного тижня | до конца следующей недели", "04.12.2026 18:00"),
        ("end of the month | до кінця місяця | к концу месяца | this month", "30.11.2026 18:00"),
        ("end of the year | до кінця року | до конца года | 31.12 | 31 грудня | к 31 декабря | Dec 31st", "31.12.2026 18:00"),
        ("next month | наступного місяця | в следующем месяце", "01.12.2026 09:00"),
        ("the 15th | до 15-го | к 15 числу | до п'ятнадцятого | 15 декабря | December 15", "15.12.2026 18:00"),
        ("5th of december | до 5 грудня | до п'ятого | до пятого декабря | december the 5th", "05.12.2026 18:00"),
        ("now | asap | зараз | сейчас", "27.11.2026 13:30"),
        ("next week | наступного тижня | на следующей неделе", "30.11.2026 09:00"),
        ("today | сьогодні | сегодня вечером | by end of day | до кінця дня", "27.11.2026 18:00"),
        ("15:00 | at 3 pm | о 15 | в 15 часов | at 3 | о третій | в 3 часа | в три часа дня | о 3 годині дня | at 3 o'clock | 15-00 | о 15-й", "27.11.2026 15:00"),
        ("at 5 | о 5 | в 5 | в пять вечера | о п'ятій | by 5 | к 5 | at five | до п'ятої | к пяти | до пяти часов", "27.11.2026 17:00"),  # nobody means the night
        ("at 5:30 | half past five | о пів на шосту | в половине шестого | полшестого", "27.11.2026 17:30"),
        ("tomorrow at 1 | завтра о першій | завтра в час | завтра в час дня", "30.11.2026 13:00"),
        ("at 5 am | о 5 ранку | в 5 утра | о 5 ночі | в 05:00", "30.11.2026 05:00"),
        ("this afternoon | сьогодні вдень | сегодня днём | після полудня", "27.11.2026 14:00"),
        ("this evening | to the evening | до вечора | к вечеру | tonight", "27.11.2026 18:00"),
        ("tomorrow before lunch | завтра до обіду | завтра к обеду", "30.11.2026 13:00"),
        ("tomorrow noon | завтра опівдні | завтра к полудню", "30.11.2026 12:00"),
        ("to the morning | на ранок | к утру | до ранку", "30.11.2026 09:00"),
        ("at 9 | о 9:00 | в 9 утра", "30.11.2026 09:00"),
        ("1.12 15:00 | 01.12.2026 15:00 | 2026-12-01T15:00 | 1 грудня о 15 | 1 декабря 15:00 | Dec 1 3pm", "01.12.2026 15:00"),
        ("1.3 | 1 березня | 1 марта | March 1", "01.03.2027 18:00"),
        ("29.2 | 29 лютого", "29.02.2028 18:00"),
        ("after lunch | після обіду | после обеда | по обіді", "27.11.2026 14:00"),
        ("the day after tomorrow | післязавтра | послезавтра", "30.11.2026 18:00"),  # not before tomorrow
        ("in a fortnight | in two weeks | через два тижні | через две недели", "11.12.2026 13:30"),
        ("at 2 pm | о 2 дня | в 2 дня | до 2 дня | о другій дня", "27.11.2026 14:00"),
        ("in 2 days | за 2 дня | через 2 дня | через два дні | за два дні", "01.12.2026 13:30"),
        ("twenty-fifth of january | twenty fifth of january | двадцять п'ятого січня | двадцать пятого января | 25.1", "25.01.2027 18:00"),
        ("in twenty five minutes | через двадцять п'ять хвилин | через двадцать пять минут | минут через двадцать пять", "27.11.2026 14:25"),
        ("quarter past three | чверть на четверту | четверть четвертого", "27.11.2026 15:15"),
        ("quarter to four | без четверти четыре", "27.11.2026 15:45"),
        ("часа через два | години через дві", "27.11.2026 16:00"),
        ("first thing tomorrow | early tomorrow | завтра рано-вранці | завтра з самого ранку | завтра с самого утра | завтра рано утром", "30.11.2026 09:00"),
        ("|   | soon | 31.04 | 25:00 | in | через | through 2 | через 999999 годин | 1 1 1 | 0x15 | 15:00 16:00", ""),
    ],
)  # fmt: skip
def test_what_is_said_is_understood(texts: str, at: str) -> None:
    for text in texts.split("|"):
        assert read(text) == at, text


@pytest.mark.parametrize("language", list(i18n.Language))
def test_every_example_of_the_field_is_understood_in_every_language(language: i18n.Language) -> None:
    with i18n.speaking(i18n.Here(language, KYIV, FRIDAY)):
        for example in words.deadlines():
            assert read(example), example


ALL_DAY = WorkingTime(KYIV, (((0, 24 * 60),),) * 7)
NIGHTS = WorkingTime(KYIV, (((22 * 60, 30 * 60),),) * 7)
SATURDAY = datetime(2026, 11, 28, 11, 0, tzinfo=KYIV).astimezone(UTC)


@pytest.mark.parametrize(
    ("texts", "working", "at"),
    [
        ("tomorrow morning | завтра зранку | завтра утром | tomorrow at 9", ALL_DAY, "29.11.2026 09:00"),
        ("tomorrow morning | завтра зранку | завтра утром", NIGHTS, "29.11.2026 09:00"),
        ("tomorrow evening | завтра ввечері | завтра к вечеру", ALL_DAY, "29.11.2026 18:00"),
        ("tomorrow evening | завтра ввечері", NIGHTS, "29.11.2026 18:00"),
        ("tomorrow | завтра | tomorrow midnight", ALL_DAY, "29.11.2026 23:59"),
        ("friday | пт | к пятнице | до п'ятниці | end of friday", ALL_DAY, "04.12.2026 23:59"),  # the day that was said
        ("friday | пт | к пятнице", NIGHTS, "04.12.2026 23:59"),
        ("31.12 | 31 грудня | до конца года", ALL_DAY, "31.12.2026 23:59"),
        ("end of day | до кінця дня | до конца дня | today | eod", ALL_DAY, "28.11.2026 23:59"),
        ("tomorrow afternoon | завтра вдень", ALL_DAY, "29.11.2026 14:00"),
        ("tomorrow noon", ALL_DAY, "29.11.2026 12:00"),
        ("next week | наступного тижня", ALL_DAY, "30.11.2026 09:00"),
        ("at 5 | о 5 | в 5", ALL_DAY, "28.11.2026 17:00"),
        ("tomorrow at 2", WorkingTime(KYIV, (((0, 8 * 60),),) * 7), "29.11.2026 02:00"),  # when they work
        ("this evening | tonight", ALL_DAY, "28.11.2026 18:00"),
    ],
)  # fmt: skip
def test_where_people_work_through_the_night_a_day_is_that_day(texts: str, working: WorkingTime, at: str) -> None:
    for text in texts.split("|"):
        found = read_deadline(text, SATURDAY, working)
        assert found is not None, text
        assert found.astimezone(KYIV).strftime("%d.%m.%Y %H:%M") == at, text


def test_the_evening_that_has_begun_ends_at_midnight() -> None:
    late = datetime(2026, 11, 27, 20, 0, tzinfo=KYIV).astimezone(UTC)
    assert [read(text, late) for text in ("tonight", "this evening", "сегодня вечером")] == ["27.11.2026 23:59"] * 3


MOMENTS = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
SAID = st.sampled_from(
    [
        "in",
        "at",
        "next",
        "tomorrow",
        "fri",
        "15:00",
        "3pm",
        "2",
        "h",
        "27.11",
        "через",
        "завтра",
        "о",
        "пт",
        "зранку",
        "неделю",
        "дні",
        "год",
        "вечером",
        "1,5",
        "half",
        "a",
        "month",
        ".",
        "-",
        "’",
        "31",
        "лютого",
    ]
)


@given(st.lists(SAID, max_size=6).map(" ".join) | st.text(max_size=80), MOMENTS)
def test_whatever_is_typed_is_a_time_or_nothing(text: str, now: datetime) -> None:
    found = read_deadline(text, now, WEEK)
    assert found is None or (found.tzinfo is UTC and 1970 < found.year < 2199)


@given(MOMENTS, MOMENTS)
def test_a_date_as_the_field_shows_it_is_read_as_the_same(at: datetime, now: datetime) -> None:
    shown = at.astimezone(KYIV).strftime("%d.%m.%Y %H:%M")
    found = read_deadline(shown, now, WEEK)
    assert found is not None
    assert found.astimezone(KYIV).strftime("%d.%m.%Y %H:%M") == shown


@given(st.integers(1, 5000), MOMENTS)
def test_minutes_are_working_minutes_and_case_and_blanks_do_not_matter(minutes: int, now: datetime) -> None:
    expected = WEEK.add_minutes(now, minutes)
    for text in (f"in {minutes} min", f"  Через   {minutes}  ХВ ", f"{minutes} минут"):
        assert read_deadline(text, now, WEEK) == expected


@given(
    st.sampled_from(
        ["in 2 h", "tomorrow", "завтра зранку", "пт", "fri 15:00", "через тиждень", "9:00", "наступного тижня"]
    ),
    MOMENTS,
)
def test_what_is_said_of_the_future_is_never_over(text: str, now: datetime) -> None:
    found = read_deadline(text, now, WEEK)
    assert found is not None
    assert found >= now


def test_nothing_from_now_is_a_typing_error() -> None:
    assert [read(text) for text in ("in 0 min", "через 0 годин", "0 дней")] == ["", "", ""]
