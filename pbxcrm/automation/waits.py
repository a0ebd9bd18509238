"""How long the step *Wait* of a rule lasts: working minutes, working days of the calendar, days, or months.

A day is a day, however long people work on it: half a year is ``{"months": 6}``, never a number of working minutes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.fields.relative_times import AskedAt, Relative
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_, Reason, reason

MINUTES, WORKING_DAYS, DAYS, MONTHS = "minutes", "working_days", "days", "months"
_IN_MINUTES = "automation.waits_time"
LONGEST = 366 * 24 * 60  # working minutes
#: Exactly one of them says how long.
LENGTHS = (
    Param(MINUTES, N_("Working minutes"), ParamKind.MINUTES, least=1, most=LONGEST),
    Param(WORKING_DAYS, N_("Working days"), ParamKind.DAYS, least=1, most=1000),
    Param(DAYS, N_("Days"), ParamKind.DAYS, least=1, most=3660),
    Param(MONTHS, N_("Months"), ParamKind.DAYS, least=1, most=120),
)


def check_wait(settings: Mapping[str, Any], at: str) -> None:
    """Raise Invalid unless the settings, checked one by one, say how long, and once."""
    if sum(each.name in settings for each in LENGTHS) != 1:
        raise Invalid(f"{at}.{MINUTES}", "automation.wait", "Write how long it waits.")


def end_of_wait(step: Mapping[str, Any], since: datetime, working: WorkingTime) -> datetime:
    """When the wait is over. Days and months end at the same time of the day, or when people are at work next."""
    if step.get(MINUTES) is not None:
        return working.add_minutes(since, step[MINUTES])
    if step.get(WORKING_DAYS) is not None:
        wanted = working.add_days(since, step[WORKING_DAYS])
    else:
        unit, count = ("m", step[MONTHS]) if step.get(MONTHS) is not None else ("d", step[DAYS])
        wanted = Relative("now", count, unit).moment(AskedAt(since, working.timezone))
    return working.add_minutes(wanted, 0)


def wait_said(step: Mapping[str, Any]) -> Reason:
    """``Waits 30 working days``."""
    for name in (WORKING_DAYS, DAYS, MONTHS):
        if step.get(name) is not None:
            return reason(f"automation.waits_{name}", count=step[name])
    return reason("automation.waits_for", wait_minutes=step[MINUTES])


#: Codes of the reasons of runs that wait for a time of their own.
WAITING_CODES = frozenset({_IN_MINUTES, *(f"automation.waits_{name}" for name in (WORKING_DAYS, DAYS, MONTHS))})


def why_waiting(step: Mapping[str, Any]) -> Reason:
    """What a run says while it waits."""
    minutes = step.get(MINUTES)
    return reason(_IN_MINUTES, wait_minutes=minutes) if minutes is not None else wait_said(step)
