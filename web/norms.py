"""Working time in forms: an amount of minutes, hours or days."""

from pbxcrm.automation.waits import DAYS, MONTHS, WORKING_DAYS
from pbxcrm.shared.errors import Invalid
from web.formats import WORKING_DAY
from web.i18n import N_
from web.i18n import gettext as _
from web.untrusted import whole_number

UNITS: dict[str, tuple[str, int]] = {
    "min": (N_("working minutes"), 1),
    "h": (N_("working hours"), 60),
    "d": (N_("working days (9 h each)"), WORKING_DAY),
}


def unit_choices() -> list[tuple[str, str]]:
    """Options of a select: the units of working time."""
    return [(name, _(text)) for name, (text, _minutes) in UNITS.items()]


def minutes_typed(field: str, amount: str, unit: str) -> int | None:
    """An amount in working minutes; None if it is empty. Raises Invalid at ``field``."""
    amount = amount.strip()
    if not amount:
        return None
    found = whole_number(amount)
    if found is None:
        raise Invalid(field, "form.number", "Write a whole number.")
    return found * UNITS.get(unit, UNITS["min"])[1]


def as_typed(minutes: int | None) -> tuple[str, str]:
    """Amount and unit of working minutes, in the largest unit that gives a whole number; empty and hours for None."""
    if minutes is None:
        return "", "h"
    unit = next((name for name in ("d", "h") if minutes and minutes % UNITS[name][1] == 0), "min")
    return str(minutes // UNITS[unit][1]), unit


#: How long a step of a rule waits: working minutes and hours, or days and months of the calendar.
WAIT_UNITS: dict[str, str] = {
    "min": UNITS["min"][0],
    "h": UNITS["h"][0],
    WORKING_DAYS: N_("working days of the calendar"),
    DAYS: N_("days"),
    MONTHS: N_("months"),
}


def wait_as_typed(minutes: int) -> tuple[str, str]:
    """Amount and unit of working minutes; a stored wait of many hours is no number of days."""
    return (str(minutes // 60), "h") if minutes % 60 == 0 else (str(minutes), "min")
