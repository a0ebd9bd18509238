"""Reads deadlines in natural language (English, Ukrainian, Russian): ``in 2 h``, ``завтра зранку``, ``пт 15:00``. Pure.

Minutes and hours are working time of the person who must do the task; a day without a time means the end of that working day.
The page shows the result while the user types, so a wrong guess is seen before it is saved.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from pbxcrm.calendars.working_time import WorkingTime

LONGEST = 60  # characters
MOST_MINUTES = 366 * 24 * 60
MOST_DAYS = 3660
FIRST_YEAR, LAST_YEAR = 1971, 2198  # other years are typing errors, and databases may reject them
EVENING = 18 * 60
MORNING = 9 * 60
NOON = 12 * 60
AFTERNOON = 14 * 60


def _table(**words: str) -> dict[str, str]:
    return {word: meaning for meaning, said in words.items() for word in said.split()}


_UNITS = _table(
    minutes="m min mins minute minutes хв хвилин хвилину хвилини хвилина м мин минут минуту минуты минута",
    hours="h hr hrs hour hours г год годин годину години година ч час часа часов",
    days="d day days д дн день дні днів дня дней",
    weeks="w week weeks тиж тижд тиждень тижні тижнів тижня нед неделю недели недель неделя неделе",
    months="month months місяць місяці місяців міс місяці месяце месяц месяца месяцев мес",
)
_DAYS = _table(today="today tonight сьогодні сегодня", tomorrow="tomorrow tmr завтра", after="післязавтра послезавтра")
_PARTS = _table(
    morning="morning зранку вранці ранок ранку ранком утром утра утро",
    noon="noon midday опівдні полудень полдень",
    afternoon="afternoon вдень днем днём обіду обеда",
    evening="evening tonight eod увечері ввечері вечір вечора вечером вечера кінця конца",
)
_WEEKDAYS = (
    "mon monday пн понеділок понеділка понедельник понедельника",
    "tue tues tuesday вт вівторок вівторка вторник вторника",
    "wed wednesday ср середа середу середи среда среду среды",
    "thu thur thurs thursday чт четвер четверга четверг",
    "fri friday пт п'ятниця п'ятницю п'ятниці пятниця пятницю пятница пятницу пятницы",
    "sat saturday сб субота суботу суботи суббота субботу субботы",
    "sun sunday нд неділя неділю неділі вс воскресенье воскресенья",
)
_WEEKDAY = {word: day for day, words in enumerate(_WEEKDAYS) for word in words.split()}
_MONTHS = (
    "jan january січ січня янв января",
    "feb february лют лютого фев февраля",
    "mar march бер березня мар марта",
    "apr april кві квітня апр апреля",
    "may тра травня мая",
    "jun june чер червня июн июня",
    "jul july лип липня июл июля",
    "aug august сер серпня авг августа",
    "sep sept september вер вересня сен сентября",
    "oct october жов жовтня окт октября",
    "nov november лис листопада ноя ноября",
    "dec december гру грудня дек декабря",
)
_MONTH = {word: month for month, words in enumerate(_MONTHS, start=1) for word in words.split()}
_NEXT = frozenset(
    [
        "next",
        "наступний",
        "наступного",
        "наступної",
        "наступну",
        "наступна",
        "следующий",
        "следующего",
        "следующей",
        "следующую",
        "следующая",
    ]
)
_WORKING = frozenset(
    ["working", "робочий", "робочого", "робочі", "робочих", "рабочий", "рабочего", "рабочих", "рабочие", "work"]
)
_WITHIN = frozenset(["in", "через", "за"])
_HALF = frozenset(["half", "пів", "полчаса", "півгодини", "пол"])
_ONE = frozenset(["a", "an", "one", "один", "одну", "одна"])
_NUMBERS = {
    word: number
    for number, words in (
        ("2", "two два дві две двое"),
        ("3", "three три"),
        ("4", "four чотири четыре"),
        ("5", "five п'ять пять"),
        ("6", "six шість шесть"),
        ("7", "seven сім семь"),
        ("8", "eight вісім восемь"),
        ("9", "nine дев'ять девять"),
        ("10", "ten десять"),
        ("12", "twelve дванадцять двенадцать"),
        ("15", "fifteen п'ятнадцять пятнадцать"),
        ("20", "twenty двадцять двадцать"),
        ("30", "thirty тридцять тридцать"),
        ("40", "forty сорок"),
        ("45", "сорок-п'ять сорок-пять"),
    )
    for word in words.split()
}
_AND_HALF = frozenset({"півтори", "полтора"})
_FILLERS = frozenset({"after"}) | frozenset(
    [
        "in",
        "on",
        "at",
        "by",
        "until",
        "till",
        "before",
        "to",
        "the",
        "of",
        "day's",
        "в",
        "у",
        "во",
        "до",
        "о",
        "об",
        "на",
        "к",
        "с",
        "зі",
        "з",
        "і",
        "and",
        "после",
        "після",
    ]
)
_TIME = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?(am|pm)?")
_DATE = re.compile(r"([0-9]{1,2})[./]([0-9]{1,2})(?:[./]([0-9]{2}|[0-9]{4}))?")
_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_NUMBER = re.compile(r"[0-9]{1,5}(?:[.,][0-9]{1,2})?")
_GLUED = re.compile(r"([0-9]+(?:[.,][0-9]{1,2})?)([^\W\d_]+)")


@dataclass(slots=True)
class _Said:
    """What the words have said so far."""

    day: date | None = None
    minute: int | None = None  # of the day
    part: str = ""
    zone: tzinfo = UTC  # of the person who types
    shift: dict[str, float] | None = None  # unit -> how many
    weekday: bool = False  # ``day`` was named by its weekday
    next_working: bool = False  # the next working day, instead of ``day``


def read_deadline(text: str, now: datetime, working: WorkingTime, zone: tzinfo | None = None) -> datetime | None:
    """The deadline in ``text``, aware UTC, by the calendar of the person who must do it; None if not understood.

    ``zone``: time zone of the person who types, for clock times; None: the calendar's.
    """
    words = _words(text)
    if not words or len(text) > LONGEST:
        return None
    try:
        said = _read(words, now.astimezone(zone or working.timezone).date())
        if said is None:
            return None
        said.zone = zone or working.timezone
        found = _deadline_of(said, now, working)
    except (ValueError, OverflowError):  # the 31st of April, the year 10000
        return None
    return found if found is not None and FIRST_YEAR <= found.year <= LAST_YEAR else None


def _words(text: str) -> list[str]:
    folded = text.strip().lower().replace("’", "'").replace("`", "'").replace("ʼ", "'").replace("ё", "е")
    folded = re.sub(r"(?<=\d)t(?=\d)", " ", folded)  # 2026-11-27T15:00
    folded = re.sub(r"\b(a|p)\.?m\b\.?", r"\1m", folded)
    folded = re.sub(r"[,;!?](?!\d)|\.(?!\d)", " ", folded)
    found: list[str] = []
    for word in (_NUMBERS.get(each, each) for each in folded.split()):
        glued = _GLUED.fullmatch(word)
        if glued and glued[2] in _UNITS:
            found += [glued[1], glued[2]]
        elif glued and (pieces := _GLUED.findall(word)) and all(unit in _UNITS for _, unit in pieces):
            found += [part for piece in pieces for part in piece]
        elif (
            (several := _GLUED.findall(word))
            and "".join(a + b for a, b in several) == word
            and all(unit in _UNITS for _, unit in several)
        ):
            found += [part for piece in several for part in piece]
        else:
            found.append(word)
    return found


def _read(words: list[str], today: date) -> _Said | None:
    said = _Said()
    at, ahead = 0, False
    while at < len(words):
        word, following = words[at], words[at + 1] if at + 1 < len(words) else ""
        step = 1
        if word in _WITHIN and following not in {"", "the"}:
            said.shift = said.shift or {}
        elif word in _HALF:
            step += _add_half(said, word, following)
        elif word in _AND_HALF:
            step += _add(said, 1.5, following or "hours")
        elif word in _ONE and following in _UNITS:
            step += _add(said, 1, following)
        elif word in _ONE and following in _HALF:
            pass
        elif (
            _NUMBER.fullmatch(word)
            and (unit_at := _unit_at(words, at + 1)) is not None
            and _counts(said, words, unit_at)
        ):
            _add(said, float(word.replace(",", ".")), words[unit_at])
            step = unit_at - at + 1
        elif word in _UNITS and said.shift is not None and not ahead:
            _add(said, 1, word)
        elif word in _NEXT:
            ahead = True
        elif ahead and word in _WORKING:
            said.next_working = True
        elif ahead and _UNITS.get(word) == "weeks":
            said.day, ahead = today + timedelta(days=7 - today.weekday()), False
            said.part = said.part or "morning"
        elif ahead and _UNITS.get(word) == "months":
            said.day = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
            said.part, ahead = said.part or "morning", False
        elif _UNITS.get(word) == "days" and (said.next_working or said.part == "evening" or ahead):
            if ahead and not said.next_working:
                said.day = today + timedelta(days=1)
            ahead = False
        elif word in _DAYS or (word == "after" and following == "tomorrow"):
            meaning = _DAYS.get(word, "after")
            said.day = today + timedelta(days={"today": 0, "tomorrow": 1, "after": 2}[meaning])
            said.next_working = meaning == "tomorrow"
            if word == "after":
                step, said.next_working = 2, False
            if word == "tonight":
                said.part = "evening"
        elif word == "day" and following == "after":
            pass
        elif word in _WEEKDAY:
            days = (_WEEKDAY[word] - today.weekday()) % 7
            if ahead:
                days = 7 - today.weekday() + _WEEKDAY[word]
            said.day, said.weekday, ahead = today + timedelta(days=days), True, False
        elif iso := _ISO.fullmatch(word):
            said.day = date(int(iso[1]), int(iso[2]), int(iso[3]))
        elif (dotted := _DATE.fullmatch(word)) and 1 <= int(dotted[2]) <= 12 and said.day is None:
            said.day = _dated(today, int(dotted[1]), int(dotted[2]), dotted[3])
        elif _NUMBER.fullmatch(word) and following in _MONTH and said.day is None:
            year = words[at + 2] if at + 2 < len(words) and re.fullmatch(r"20[0-9]{2}", words[at + 2]) else None
            said.day = _dated(today, int(word), _MONTH[following], year)
            step = 3 if year else 2
        elif word in _MONTH and re.fullmatch(r"[0-9]{1,2}", following) and said.day is None:
            said.day = _dated(today, int(following), _MONTH[word], None)
            step = 2
        elif word in _PARTS:
            said.part = _PARTS[word]
        elif word == "end" or word in _FILLERS:
            said.part = "evening" if word == "end" else said.part
        elif word == "lunch":
            said.part = "afternoon"
        elif (clock := _TIME.fullmatch(word)) and said.minute is None:
            minute = _clock(clock, following)
            if minute is None:
                return None
            said.minute = minute
            step += following in {"am", "pm"} or _UNITS.get(following) == "hours"
        else:
            return None
        at += step
    return said


def _unit_at(words: list[str], at: int) -> int | None:
    """The index of a number's unit: at ``at``, or after the word "working"; None if there is no unit."""
    if at < len(words) and words[at] in _WORKING:
        at += 1
    return at if at < len(words) and words[at] in _UNITS else None


def _counts(said: _Said, words: list[str], unit_at: int) -> bool:
    """Whether a number and its unit are a duration; ``о 15 год`` is a time of day."""
    before = words[unit_at - 2] if unit_at >= 2 else ""
    return not (_UNITS[words[unit_at]] == "hours" and before in {"о", "об", "в", "у", "at"} and said.shift is None)


def _add(said: _Said, number: float, unit: str) -> int:
    said.shift = said.shift or {}
    meaning = _UNITS.get(unit, unit)
    said.shift[meaning] = said.shift.get(meaning, 0) + number
    return 1


def _add_half(said: _Said, word: str, following: str) -> int:
    if word in {"полчаса", "півгодини"}:
        _add(said, 30, "minutes")
        return 0
    step = 1 if following in _ONE else 0
    _add(said, 30, "minutes")
    return step + (1 if following in _UNITS or step else 0)


def _dated(today: date, day: int, month: int, year: str | None) -> date:
    """The date; without a year, the next such date. Raises ValueError."""
    if year is not None:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    for number in range(today.year, today.year + 9):  # 29 February comes every four or eight years
        try:
            found = date(number, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError("no such date")


def _clock(found: re.Match[str], following: str) -> int | None:
    hour, minute = int(found[1]), int(found[2] or 0)
    half = found[3] or (following if following in {"am", "pm"} else "")
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _deadline_of(said: _Said, now: datetime, working: WorkingTime) -> datetime | None:
    local = now.astimezone(said.zone)
    if said.shift is not None:
        if said.day is not None or not said.shift:
            return None
        return _shifted(said, now, working)
    if said.day is None and said.minute is None and not said.part and not said.next_working:
        return None
    if said.next_working:
        day = working.next_working_day(local.date())
    elif said.day is not None:
        day = said.day
    else:  # only a time: today, or the next working day if it is over
        day = local.date()
        if _at(day, said, working) <= now:
            day = working.next_working_day(day)
    found = _at(day, said, working)
    if found <= now and said.weekday:  # "Friday morning" typed on a Friday afternoon
        return _at(day + timedelta(days=7), said, working)
    if found <= now and said.day == local.date() and not said.next_working and said.minute is None and not said.part:
        return now  # the day is over: it is due at once
    return found


def _shifted(said: _Said, now: datetime, working: WorkingTime) -> datetime | None:
    shift = said.shift or {}
    minutes = shift.get("minutes", 0) + 60 * shift.get("hours", 0)
    days = shift.get("days", 0)
    if minutes > MOST_MINUTES or max(days, 7 * shift.get("weeks", 0), 31 * shift.get("months", 0)) > MOST_DAYS:
        return None
    if not any(shift.values()):  # "in 0 min" is a typing error
        return None
    if any(number != int(number) for unit, number in shift.items() if unit not in {"minutes", "hours"}):
        return None
    moment = now
    if months := int(shift.get("months", 0)):
        local = moment.astimezone(said.zone)
        moment = _same_day(local, months).astimezone(UTC)
    if weeks := int(shift.get("weeks", 0)):
        moment = (moment.astimezone(said.zone) + timedelta(days=7 * weeks)).astimezone(UTC)
    if days:
        moment = working.add_days(moment, int(days))
    if minutes:
        moment = working.add_minutes(moment, minutes)
    if said.minute is not None or said.part:
        if minutes:
            return None
        moment = _at(moment.astimezone(said.zone).date(), said, working)
    return moment


def _same_day(local: datetime, months: int) -> datetime:
    number = local.year * 12 + local.month - 1 + months
    year, month = divmod(number, 12)
    for day in range(local.day, local.day - 4, -1):
        try:
            return local.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise ValueError("no such date")


def _at(day: date, said: _Said, working: WorkingTime) -> datetime:
    spans = working.spans_of(day)
    minute, zone = said.minute, said.zone
    if minute is not None and said.part in {"afternoon", "evening"} and minute < NOON:
        minute += NOON  # 3 in the afternoon
    if minute is None:
        minute, zone = _minute_of(said.part, spans), working.timezone
    wall = datetime.combine(day + timedelta(days=minute // 1440), time(minute % 1440 // 60, minute % 60))
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _minute_of(part: str, spans: Iterable[tuple[int, int]]) -> int:
    """The minute at which a part of the day begins; without a part, the end of work."""
    spans = list(spans)
    if part == "morning":
        return spans[0][0] if spans else MORNING
    if part == "noon":
        return NOON
    if part == "afternoon":
        return next((start for start, _ in spans if start >= NOON), AFTERNOON)
    return spans[-1][1] if spans else EVENING
