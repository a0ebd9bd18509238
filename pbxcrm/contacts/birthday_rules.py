"""Pure rules of birthdays: reading, age, and which are near. Who was born on 29 February celebrates on the 28th in other years."""

import re
from calendar import isleap
from datetime import date, timedelta

from pbxcrm.shared.errors import Invalid

EARLIEST_YEAR = 1900
FARTHEST = 366  # days
_LEAP_DAY, _DAY_BEFORE = 229, 228
_WRITTEN = (
    re.compile(r"(?P<d>\d{1,2})[./ ](?P<m>\d{1,2})(?:[./ ](?P<y>\d{4}))?\.?"),
    re.compile(r"(?:(?P<y>\d{4})|-)-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
)


def read_birthday(typed: str, today: date, field: str = "birthday") -> tuple[int | None, int | None]:
    """Year (None if not written) and day (month × 100 + day) of ``31.12.1990``, ``31.12``, ``1990-12-31`` or ``--12-31``.

    Empty text is no birthday: two None. Raises Invalid for another text, a day that does not exist, and one in the future.
    """
    text = typed.strip()
    if not text:
        return None, None
    found = next((match for each in _WRITTEN if (match := each.fullmatch(text))), None)
    if found is not None:
        year, month, day = (int(found[name]) if found[name] else None for name in ("y", "m", "d"))
        try:
            born = date(year or 2000, month or 0, day or 0)  # 2000 has a 29 February
        except ValueError:
            born = None
        if born is not None and (year is None or (year >= EARLIEST_YEAR and born <= today)):
            return year, born.month * 100 + born.day
    raise Invalid(field, "contacts.birthday", "Write the birthday as 31.12.1990, or as 31.12 without the year.")


def iso_birthday(year: int | None, day: int | None) -> str | None:
    """``1990-12-31``, or ``--12-31`` without a year (as in ISO 8601 and vCard); None for no birthday."""
    if day is None:
        return None
    return f"{year:04d}-{day // 100:02d}-{day % 100:02d}" if year is not None else f"--{day // 100:02d}-{day % 100:02d}"


def age_on(today: date, year: int | None, day: int | None) -> int | None:
    """Full years; None if the year is not known."""
    if year is None or day is None:
        return None
    return today.year - year - (today.month * 100 + today.day < celebrated(day, today.year))


def celebrated(day: int, year: int) -> int:
    """On which day of ``year`` somebody born on ``day`` has their birthday."""
    return _DAY_BEFORE if day == _LEAP_DAY and not isleap(year) else day


def days_near(today: date, days: int) -> list[int]:
    """The days of birth whose birthday is today or within ``days`` days."""
    found: list[int] = []
    for number in range(min(max(days, 0), FARTHEST) + 1):
        each = today + timedelta(days=number)
        day = each.month * 100 + each.day
        found += [day, _LEAP_DAY] if day == _DAY_BEFORE and not isleap(each.year) else [day]
    return list(dict.fromkeys(found))
