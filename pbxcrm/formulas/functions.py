"""The functions of formulas. Each knows how many values it takes; what it gets is checked by what it asks for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.formulas.problems import CannotCompute
from pbxcrm.shared.reasons import N_

#: What a field holds and a formula gives. ``datetime`` is aware; None is an empty field.
Value = Decimal | str | bool | datetime | date | None

LONGEST_TEXT = 10_000  # characters of a text that a formula makes
LARGEST = Decimal(10) ** 15
MOST_DAYS = 3660  # that a date is moved
LONG_TEXT = N_("The text becomes longer than {most} characters.")
_SPAN = re.compile(r"\s*(?P<many>[0-9]{1,6})\s*(?P<unit>[dhm])", re.IGNORECASE)
_EXACT = Decimal("1e-12")  # 10 / 3 * 3 is 9.999… of 28 digits; a rounding looks at twelve


@dataclass(frozen=True, slots=True)
class FormulaTime:
    """What a formula may know besides its fields: the time, and the working hours by which its dates are counted."""

    now: datetime
    hours: WorkingTime


def number(value: Value) -> Decimal:
    """The value as a number. Raises CannotCompute."""
    if value is None:
        raise CannotCompute("empty", N_("A value is empty here."))
    if not isinstance(value, Decimal):
        raise CannotCompute("not_a_number", N_("Here a number is needed."))
    return value


def text(value: Value) -> str:
    """The value as a text; an empty one is an empty text. Raises CannotCompute."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CannotCompute("not_a_text", N_("Here a text is needed. Write text(…) around another value."))
    return value


def yes_no(value: Value) -> bool:
    """The value as a condition. Raises CannotCompute."""
    if not isinstance(value, bool):
        raise CannotCompute("not_a_condition", N_("Here a condition is needed, for example length > 5."))
    return value


def day(value: Value) -> datetime | date:
    """The value as a date or a moment. Raises CannotCompute."""
    if not isinstance(value, date):  # a datetime is one
        raise CannotCompute("not_a_date", N_("Here a date is needed."))
    return value


def kind_of(value: Value) -> type:
    """The kind of a value, by which it is compared: a moment is a date."""
    return next((kind for kind in (bool, Decimal, str, date) if isinstance(value, kind)), type(None))


def made(value: str) -> str:
    """A text that a formula has made. Raises CannotCompute when it is too long."""
    if len(value) > LONGEST_TEXT:
        raise CannotCompute("long_text", LONG_TEXT, most=LONGEST_TEXT)
    return value


def _whole(value: Value, most: int) -> int:
    found = number(value)
    if found % 1 or abs(found) > most:
        raise CannotCompute("not_whole", N_("Here a whole number up to {most} is needed."), most=most)
    return int(found)


def _rounding(mode: str) -> Callable[..., Value]:
    def rounded(_: FormulaTime, value: Value, places: Value = Decimal(0)) -> Value:
        exponent = Decimal(1).scaleb(-_whole(places, 6))
        return number(value).quantize(_EXACT, rounding=ROUND_HALF_UP).quantize(exponent, rounding=mode)

    return rounded


def _days_and_minutes(span: Value) -> tuple[int, int]:
    """``"2d 4h 30m"`` as days and minutes; ``"-2d"`` back."""
    written = text(span).strip()
    sign = -1 if written.startswith("-") else 1
    rest, days, minutes = written.removeprefix("-"), 0, 0
    while rest.strip():
        found = _SPAN.match(rest)
        if found is None:
            raise CannotCompute("span", N_("Write a span as 2d 4h 30m: days, hours, minutes."))
        many, unit = int(found["many"]), found["unit"].lower()
        days += many if unit == "d" else 0
        minutes += many * 60 if unit == "h" else many if unit == "m" else 0
        rest = rest[found.end() :]
    if days + minutes / 1440 > MOST_DAYS:
        raise CannotCompute("far", N_("A date can be moved by at most {most} days."), most=MOST_DAYS)
    return sign * days, sign * minutes


def _moment(around: FormulaTime, value: Value) -> datetime:
    """A date is its beginning in the time zone of the working hours."""
    found = day(value)
    return found if isinstance(found, datetime) else datetime.combine(found, time(), around.hours.timezone)


def _within(compute: Callable[[], datetime | date]) -> datetime | date:
    try:
        found = compute()
    except OverflowError:
        raise CannotCompute("far", N_("A date can be moved by at most {most} days."), most=MOST_DAYS) from None
    if not 1900 <= found.year <= 2200:
        raise CannotCompute("years", N_("The date lies outside of the years 1900 to 2200."))
    return found


def _date_add(around: FormulaTime, start: Value, span: Value) -> Value:
    """By real time. A date without a time stays one where only days are added; a day is a day of the calendar, also when clocks change."""
    days, minutes = _days_and_minutes(span)
    begins = day(start)
    if not isinstance(begins, datetime) and not minutes:
        return _within(lambda: begins + timedelta(days=days))
    local = _moment(around, start).astimezone(around.hours.timezone)
    return _within(lambda: (local + timedelta(days=days)).astimezone(around.now.tzinfo) + timedelta(minutes=minutes))


def _work_date_add(around: FormulaTime, start: Value, span: Value) -> Value:
    """By working days and working minutes."""
    days, minutes = _days_and_minutes(span)
    at = _moment(around, start)
    moved = around.hours.add_days(at, days) if days else at
    return _within(lambda: around.hours.add_minutes(moved, minutes) if minutes or not days else moved)


def _add_work_days(around: FormulaTime, start: Value, days: Value) -> Value:
    """By working days; a date stays a date."""
    many = _whole(days, MOST_DAYS)
    begins = day(start)
    if isinstance(begins, datetime):
        return _within(lambda: around.hours.add_days(begins, many))
    noon = datetime.combine(begins, time(12), around.hours.timezone)
    return _within(lambda: around.hours.add_days(noon, many).astimezone(around.hours.timezone).date())


def _days_between(around: FormulaTime, since: Value, until: Value) -> Value:
    """Days of the calendar between two dates."""
    first, last = (_moment(around, each).astimezone(around.hours.timezone).date() for each in (since, until))
    return Decimal((last - first).days)


def _read_date(_: FormulaTime, written: Value) -> Value:
    try:
        found = date.fromisoformat(text(written).strip())
    except ValueError:
        raise CannotCompute("date", N_("Write a date as 2026-11-28.")) from None
    return _within(lambda: found)


def _as_text(_: FormulaTime, value: Value) -> Value:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, date) else text(value)


def _replace(_: FormulaTime, whole: Value, old: Value, new: Value) -> Value:
    where, gone, instead = text(whole), text(old), text(new)
    if not gone:
        return where
    if len(where) + where.count(gone) * (len(instead) - len(gone)) > LONGEST_TEXT:
        raise CannotCompute("long_text", LONG_TEXT, most=LONGEST_TEXT)
    return where.replace(gone, instead)


def _of_numbers(choose: Callable[..., Decimal]) -> Callable[..., Value]:
    return lambda _, *values: choose(*(number(each) for each in values))


def _local(part: Callable[[datetime], int]) -> Callable[..., Value]:
    return lambda around, value: Decimal(part(_moment(around, value).astimezone(around.hours.timezone)))


@dataclass(frozen=True, slots=True)
class Function:
    """``least`` to ``most`` values. ``call`` gets the surroundings and the values; None: ``evaluating`` itself knows it."""

    least: int
    most: int
    call: Callable[..., Value] | None


#: By name, in small letters.
FUNCTIONS: Mapping[str, Function] = {
    "if": Function(3, 3, None),  # only the chosen side is evaluated
    "empty": Function(1, 1, lambda _, value: value is None or value == ""),
    "default": Function(2, 2, lambda _, value, instead: instead if value is None or value == "" else value),
    "round": Function(1, 2, _rounding(ROUND_HALF_UP)),
    "ceil": Function(1, 2, _rounding(ROUND_CEILING)),
    "floor": Function(1, 2, _rounding(ROUND_FLOOR)),
    "abs": Function(1, 1, _of_numbers(abs)),
    "min": Function(1, 20, _of_numbers(min)),
    "max": Function(1, 20, _of_numbers(max)),
    "text": Function(1, 1, _as_text),
    "join": Function(1, 20, lambda _, *parts: made("".join(text(each) for each in parts))),
    "lower": Function(1, 1, lambda _, value: made(text(value).lower())),
    "upper": Function(1, 1, lambda _, value: made(text(value).upper())),
    "trim": Function(1, 1, lambda _, value: text(value).strip()),
    "length": Function(1, 1, lambda _, value: Decimal(len(text(value)))),
    "contains": Function(2, 2, lambda _, whole, part: text(part).casefold() in text(whole).casefold()),
    "replace": Function(3, 3, _replace),
    "now": Function(0, 0, lambda around: around.now),
    "today": Function(0, 0, lambda around: around.now.astimezone(around.hours.timezone).date()),
    "date": Function(1, 1, _read_date),
    "dateadd": Function(2, 2, _date_add),
    "workdateadd": Function(2, 2, _work_date_add),
    "addworkdays": Function(2, 2, _add_work_days),
    "days": Function(2, 2, _days_between),
    "year": Function(1, 1, _local(lambda at: at.year)),
    "month": Function(1, 1, _local(lambda at: at.month)),
    "day": Function(1, 1, _local(lambda at: at.day)),
    "weekday": Function(1, 1, _local(lambda at: at.isoweekday())),
    "hour": Function(1, 1, _local(lambda at: at.hour)),
}
