"""Reads deadlines in natural language (English, Ukrainian, Russian): ``in 2 h``, ``завтра зранку``, ``пт 15:00``. Pure.

``deadline_rules`` says when that is, by the calendar of the person who must do the task.
The page shows the result while the user types, so a wrong guess is seen before it is saved.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, tzinfo

from pbxcrm.calendars.deadline_rules import SaidDeadline, moment_of
from pbxcrm.calendars.deadline_words import (
    AFTERWARDS,
    AND_HALF,
    AT,
    BY_DAY,
    BY_NIGHT,
    DAY_OF_MONTH,
    DAYS,
    DURING,
    END,
    FILLERS,
    HALF,
    HALF_AN_HOUR,
    HOUR_OR_YEAR,
    HOURS,
    LESS,
    MONTHS,
    NEXT,
    NOW,
    NUMBERS,
    OCLOCK,
    ONE,
    ORDINALS,
    PARTS,
    QUARTER,
    THIS,
    UNITS,
    WEEKDAYS,
    WITHIN,
    WORKING,
)
from pbxcrm.calendars.working_time import WorkingTime

LONGEST = 60  # characters
FIRST_YEAR, LAST_YEAR = 1971, 2198  # other years are typing errors, and databases may reject them

_TIME = re.compile(r"([0-9]{1,2})(?:[:.\-]([0-9]{2}))?(am|pm|-?(?:й|ій|ой|ти))?")
_DATE = re.compile(r"([0-9]{1,2})[./]([0-9]{1,2})(?:[./]([0-9]{2}|[0-9]{4}))?")
_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_NUMBER = re.compile(r"[0-9]{1,5}(?:[.,][0-9]{1,2})?")
_ORDINAL = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|-?(?:го|ого|те|е))")
_GLUED = re.compile(r"([0-9]+(?:[.,][0-9]{1,2})?)([^\W\d_]+)")
_YEAR = re.compile(r"20[0-9]{2}")
_ONES = re.compile(r"[1-9](?:th)?")
_TENS = frozenset({"20", "30", "40", "50", "60", "90"})


class _DeadlineWords:
    """The words of a deadline. A place outside is an empty word."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""


def read_deadline(text: str, now: datetime, working: WorkingTime, zone: tzinfo | None = None) -> datetime | None:
    """The deadline in ``text``, aware UTC, by the calendar of the person who must do it; None if not understood.

    ``zone``: time zone of the person who types, for clock times; None: the calendar's.
    """
    words = _DeadlineWords(_split(text))
    if not len(words) or len(text) > LONGEST:
        return None
    of_typist = zone or working.timezone
    try:
        said = _read(words, SaidDeadline(now.astimezone(of_typist).date(), of_typist))
        found = moment_of(said, now, working) if said is not None else None
    except (ValueError, OverflowError):  # the 31st of April, the year 10000
        return None
    return found if found is not None and FIRST_YEAR <= found.year <= LAST_YEAR else None


def _split(text: str) -> list[str]:
    folded = text.strip().lower().replace("’", "'").replace("`", "'").replace("ʼ", "'").replace("ё", "е")
    folded = re.sub(r"(?<=\d)t(?=\d)", " ", folded)  # 2026-11-27T15:00
    folded = re.sub(r"\b(a|p)\.?m\b\.?", r"\1m", folded)
    folded = re.sub(r"[,;!?](?!\d)|\.(?!\d)", " ", folded)
    folded = re.sub(r"\bfirst thing\b", "morning", re.sub(r"\bfortnight\b", "2 weeks", folded))
    folded = re.sub(r"\b(twenty|thirty|forty|fifty|sixty|ninety)-(?=[a-z])", r"\1 ", folded)
    found: list[str] = []
    tens = False  # the last word was "twenty" or more, in letters
    for each in folded.split():
        word = NUMBERS.get(each) or HOURS.get(each) or ORDINALS.get(each) or each
        if tens and _ONES.fullmatch(word) and not each[0].isdigit():  # двадцять п'ятого, twenty five
            found[-1] = f"{found[-1][0]}{word}"
            tens = False
            continue
        tens = each in NUMBERS and word in _TENS
        glued = _GLUED.findall(word)
        if glued and "".join(number + unit for number, unit in glued) == word and all(_is_unit(u) for _, u in glued):
            found += [part for piece in glued for part in piece]
        elif word.startswith("пол") and (hour := ORDINALS.get(word.removeprefix("пол"))):  # полшестого
            found += ["пол", hour]
        else:
            found.append(word)
    return found


def _is_unit(word: str) -> bool:
    return word in UNITS or word == HOUR_OR_YEAR


def _unit(word: str) -> str:
    return UNITS.get(word, "hours" if word == HOUR_OR_YEAR else "")


def _read(words: _DeadlineWords, said: SaidDeadline) -> SaidDeadline | None:
    at = 0
    while at < len(words):
        step = next((step for reader in _READERS if (step := reader(said, words, at))), 0)
        if not step:
            return None
        at += step
    return said


# Each reader returns how many words it has understood at this place, 0 for none.


def _within(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    if words[at] in DURING and _unit(words[day_at := at + 1 + (words[at + 1] == "the")]) == "days":
        said.day = said.today
        return day_at - at + 1
    if words[at] in WITHIN and words[at + 1] not in {"", "the"}:
        said.shift = said.shift or {}
        return 1
    return 0


def _half(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    word, following = words[at], words[at + 1]
    if word in HALF:
        after = at + 2 if following in AT | AFTERWARDS else at + 1
        hour = _ORDINAL.fullmatch(words[after]) or _TIME.fullmatch(words[after])
        if hour is not None and said.minute is None and said.shift is None and 1 <= int(hour[1]) <= 12:
            said.minute = int(hour[1]) * 60 + (30 if following in AFTERWARDS else -30)  # half past five, пів на шосту
            said.is_bare = True
            return after - at + 1
        _add(said, 30, "minutes")
        if word in HALF_AN_HOUR:
            return 1
        step = 2 if following in ONE else 1
        return step + (1 if _is_unit(words[at + step]) or step > 1 else 0)
    if word in LESS and following in QUARTER:
        return 1
    if word in QUARTER:
        unit_at = next((place for place in range(at + 1, at + 4) if words[place] not in ONE | {"of"}), at + 1)
        if _unit(words[unit_at]) == "hours":
            _add(said, 15, "minutes")
            return unit_at - at + 1
        return _quarter(said, words, at)
    if word in AND_HALF:
        _add(said, 1.5, following or "hours")
        return 2 if following else 1
    return 0


def _quarter(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    """``quarter past three``, ``чверть на четверту``, ``четверть четвертого``; ``quarter to four``, ``без четверти четыре``."""
    is_named = words[at + 1] in AFTERWARDS | AT | {"to", "till"}
    hour_at = at + 2 if is_named else at + 1
    hour = _ORDINAL.fullmatch(words[hour_at]) or _TIME.fullmatch(words[hour_at])
    if hour is None or said.minute is not None or said.shift is not None or not 1 <= int(hour[1]) <= 12:
        return 0
    before = words[at - 1] in LESS or words[at + 1] in {"to", "till"}
    past = words[at + 1] in AFTERWARDS
    said.minute = int(hour[1]) * 60 + (15 if past else -15 if before else -45)
    said.is_bare = True
    return hour_at - at + 1


def _number(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    word, following = words[at], words[at + 1]
    if word in ONE:
        if _is_unit(following):
            _add(said, 1, following)
            return 2
        return 1 if following in HALF | QUARTER or _NUMBER.fullmatch(following) else 0
    if not _NUMBER.fullmatch(word):
        return 0
    unit_at = at + 1
    if words[unit_at] in WORKING or words[unit_at] == "of":
        unit_at += 1
    unit, before = _unit(words[unit_at]), words[at - 1]
    is_clock = unit == "hours" or words[unit_at] in BY_DAY  # ``о 15 год``, ``о 2 дня`` are times of day
    if not unit or (is_clock and before in AT - {"на"} | {"at"} and said.shift is None):
        return 0
    _add(said, float(word.replace(",", ".")), words[unit_at])
    return unit_at - at + 1


def _one_unit(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    """``через неделю``, ``часа через два``; ``в час`` is a time of day."""
    if said.shift is None and _is_unit(words[at]) and words[at + 1] in WITHIN and _NUMBER.fullmatch(words[at + 2]):
        _add(said, float(words[at + 2].replace(",", ".")), words[at])
        return 3
    if said.shift is not None and not said.ahead and _is_unit(words[at]):
        _add(said, 1, "years" if words[at] == HOUR_OR_YEAR else words[at])
        return 1
    if words[at] == "час" and words[at - 1] in {"в", "к"} and said.minute is None:
        said.minute, said.is_bare = 60, True
        return 1 + _half_of_day(said, words, at + 1)
    return 0


def _add(said: SaidDeadline, number: float, unit: str) -> None:
    said.shift = said.shift or {}
    meaning = _unit(unit) or unit
    said.shift[meaning] = said.shift.get(meaning, 0) + number


def _end(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    """``end of the week``, ``до кінця наступного місяця``, ``by the end of Friday``."""
    if words[at] not in END:
        return 0
    after, ahead = at + 1, 0
    while words[after] in THIS | WORKING | NEXT or words[after] in {"of", "the"}:
        ahead |= words[after] in NEXT
        after += 1
    unit = _unit(words[after])
    if unit in {"weeks", "months", "years"}:
        said.ends, said.ends_in = unit, ahead
        return after - at + 1
    said.part = "close"
    return after - at + 1 if unit == "days" and not ahead else 1


def _next(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    word, unit = words[at], _unit(words[at])
    if word in NEXT:
        said.ahead = True
        return 1
    if word in THIS:
        if _unit(words[at + 1]) in {"weeks", "months", "years"}:
            said.ends = _unit(words[at + 1])
            return 2
        if PARTS.get(words[at + 1]):
            said.day = said.day or said.today
        return 1
    if not said.ahead:
        return 0
    if word in WORKING:
        said.next_working = True
    elif unit == "weeks":
        said.day = said.today + timedelta(days=7 - said.today.weekday() + (said.weekday or 0))
        said.part, said.ahead = said.part or ("morning" if said.weekday is None else ""), False
    elif unit == "months":
        said.day = (said.today.replace(day=1) + timedelta(days=32)).replace(day=1)
        said.part, said.ahead = said.part or "morning", False
    elif unit == "days":
        if not said.next_working:
            said.day = said.today + timedelta(days=1)
        said.ahead = False
    else:
        return 0
    return 1


def _day(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    word, following = words[at], words[at + 1]
    if word in NOW:
        said.is_now = True
        return 1
    if word == "day" and following == "after":
        return 1
    if word == "after" and following == "tomorrow":
        said.day, said.next_working, said.is_at_work = said.today + timedelta(days=2), False, True
        return 2
    if meaning := DAYS.get(word):
        said.day = said.today + timedelta(days={"today": 0, "tomorrow": 1, "after": 2}[meaning])
        said.next_working, said.is_at_work = meaning == "tomorrow", meaning == "after"
        if word == "tonight":
            said.part = "evening"
        return 2 if _unit(following) == "days" and meaning == "tomorrow" else 1
    if _unit(word) == "days" and said.next_working:
        return 1
    if word in WEEKDAYS:
        said.weekday = WEEKDAYS[word]
        days = (said.weekday - said.today.weekday()) % 7
        if said.ahead:
            days = 7 - said.today.weekday() + said.weekday
        said.day, said.ahead = said.today + timedelta(days=days), False
        return 1
    return 0


def _date(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    word, following = words[at], words[at + 1]
    if iso := _ISO.fullmatch(word):
        said.day = date(int(iso[1]), int(iso[2]), int(iso[3]))
        return 1
    if said.day is not None:
        return 0
    if (dotted := _DATE.fullmatch(word)) and 1 <= int(dotted[2]) <= 12:
        said.day = _dated(said.today, int(dotted[1]), int(dotted[2]), dotted[3])
        return 1
    ordinal = _ORDINAL.fullmatch(word)
    number = ordinal[1] if ordinal else word if re.fullmatch(r"[0-9]{1,2}", word) else ""
    if number:
        month_at = at + 2 if following == "of" else at + 1
        if month := MONTHS.get(words[month_at]):
            year = words[month_at + 1] if _YEAR.fullmatch(words[month_at + 1]) else None
            said.day = _dated(said.today, int(number), month, year)
            return month_at - at + (2 if year else 1)
        if ordinal or following in DAY_OF_MONTH:
            said.day = _day_of_month(said.today, int(number))
            return 2 if following in DAY_OF_MONTH else 1
    if word in MONTHS:
        day_at = at + 1 + (following == "the")
        named = _ORDINAL.fullmatch(words[day_at]) or re.fullmatch(r"([0-9]{1,2})", words[day_at])
        if named is not None:
            year = words[day_at + 1] if _YEAR.fullmatch(words[day_at + 1]) else None
            said.day = _dated(said.today, int(named[1]), MONTHS[word], year)
            return day_at - at + (2 if year else 1)
    return 0


def _part(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    meaning = PARTS.get(words[at])
    if meaning is None:
        return 0
    is_after = words[at - 1] in AFTERWARDS and meaning in {"noon", "lunch"}
    said.part = "afternoon" if is_after else meaning
    return 1


def _clock(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    found = _TIME.fullmatch(words[at])
    if found is None or said.minute is not None:
        return 0
    hour, minute, step = int(found[1]), int(found[2] or 0), 1
    half = found[3] if found[3] in {"am", "pm"} else ""
    if not half and words[at + 1] in {"am", "pm"}:
        half, step = words[at + 1], 2
    elif words[at + 1] in OCLOCK or _unit(words[at + 1]) == "hours":
        step = 2
    if half:
        if not 1 <= hour <= 12:
            return 0
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        return 0
    said.minute, said.is_bare = hour * 60 + minute, not half and len(found[1]) == 1 and hour > 0
    return step + _half_of_day(said, words, at + step)


def _half_of_day(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    """``дня`` or ``ночи`` after a time."""
    if words[at] in BY_DAY:
        said.part = "afternoon"
        return 1
    if words[at] in BY_NIGHT:
        said.is_bare = False
        return 1
    return 0


def _filler(said: SaidDeadline, words: _DeadlineWords, at: int) -> int:
    return 1 if words[at] in FILLERS else 0


_READERS: tuple[Callable[[SaidDeadline, _DeadlineWords, int], int], ...] = (
    _within,
    _half,
    _number,
    _one_unit,
    _end,
    _next,
    _day,
    _date,
    _part,
    _clock,
    _filler,
)


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


def _day_of_month(today: date, day: int) -> date:
    """The next date with this day of the month. Raises ValueError."""
    for later in range(today.year * 12 + today.month - 1, today.year * 12 + today.month + 2):
        try:
            found = date(later // 12, later % 12 + 1, day)
        except ValueError:
            continue
        if found >= today:
            return found
    raise ValueError("no such day")
