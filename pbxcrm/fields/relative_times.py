"""Times that depend on when they are asked: ``today``, ``today-7d``, ``now+2h``."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: A hundred years, so that no calculation leaves the calendar; of minutes and hours what five digits hold.
_MOST_OF = {"min": 99_999, "h": 99_999, "d": 36_525, "w": 5_218, "m": 1_200, "y": 100}
_RELATIVE = re.compile(r"(now|today)(?:\s*([+-])\s*([0-9]{1,5})\s*(min|h|d|w|m|y))?")


@dataclass(frozen=True, slots=True)
class AskedAt:
    """When a condition is asked, and in which time zone a day begins."""

    now: datetime
    timezone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Relative:
    """A time that depends on when it is asked."""

    base: str  # now | today
    amount: int = 0
    unit: str = "d"

    def moment(self, clock: AskedAt) -> datetime:
        """In the reader's time zone; of ``today`` the beginning of the day."""
        local = clock.now.astimezone(clock.timezone)
        if self.base == "today":
            local = datetime.combine(local.date(), time(), clock.timezone)
        if self.unit in {"m", "y"}:
            months = local.year * 12 + local.month - 1 + self.amount * (12 if self.unit == "y" else 1)
            year, month = divmod(months, 12)
            return local.replace(year=year, month=month + 1, day=min(local.day, monthrange(year, month + 1)[1]))
        if self.unit in {"d", "w"}:
            return local + timedelta(days=self.amount * (7 if self.unit == "w" else 1))
        minutes = self.amount * (60 if self.unit == "h" else 1)
        return (local.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(clock.timezone)

    @property
    def is_day(self) -> bool:
        """Whether it names a whole day."""
        return self.base == "today" and self.unit not in {"h", "min"}


def read_relative(text: str) -> Relative | None:
    """``today``, ``now+2h``; None for any other text."""
    said = _RELATIVE.fullmatch(text.strip().lower())
    if said is None:
        return None
    base, sign, amount, unit = said.groups()
    if not amount:
        return Relative(base)
    return Relative(base, int(f"{sign}{amount}"), unit) if int(amount) <= _MOST_OF[unit] else None
