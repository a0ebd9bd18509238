"""Splitting rows into the lines of a report, and the arithmetic that reports share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from statistics import median, quantiles
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.reports.report import Behind, ReportLine, RowsBehind, Table
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.errors import Invalid

MOST = 50_000  # rows that one report counts
Row = TypeVar("Row")


async def counted_rows(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """The rows that a report counts, as plain columns. Raises Invalid at ``until`` for more than ``MOST``."""
    await session.flush()  # ``fetch`` would not see what this session has changed
    rows = await fetch(session, query.limit(MOST + 1))
    if len(rows) > MOST:
        raise Invalid(
            "until",
            "reports.too_many",
            "More than {most} rows: choose a shorter period, a team or a person.",
            most=f"{MOST:,}",
        )
    return rows


def split(
    rows: Iterable[Row],
    key_of: Callable[[Row], tuple[str, str]],
    line_of: Callable[[str, str, Sequence[Row]], ReportLine],
    total_of: Callable[[Sequence[Row]], ReportLine],
) -> Table:
    """One line per key, sorted by name. The whole is computed over all rows; it is never the sum of the lines."""
    groups: dict[tuple[str, str], list[Row]] = {}
    everything = list(rows)
    for row in everything:
        groups.setdefault(key_of(row), []).append(row)
    lines = [line_of(key, name, group) for (key, name), group in sorted(groups.items(), key=lambda each: each[0][1])]
    return Table(lines, total_of(everything))


def shared_in(whole: Sequence[Row], part: Iterable[Row], make: Callable[[Row], Behind]) -> RowsBehind:
    """The rows behind a percentage: all of ``whole``, each with whether it is in ``part``."""
    among = {id(row) for row in part}
    return RowsBehind(whole, lambda row: replace(make(row), value=id(row) in among))


def valued(
    rows: Sequence[Row], value_of: Callable[[Row], float | Decimal | None], make: Callable[[Row], Behind]
) -> RowsBehind:
    """The rows behind a median, an average or a sum, each with its value."""
    return RowsBehind(rows, lambda row: replace(make(row), value=value_of(row)))


def percent(part: int, whole: int) -> int | None:
    """``part`` as a rounded percentage of ``whole``; None where ``whole`` is 0."""
    return round(100 * part / whole) if whole else None


def middle(values: Sequence[float]) -> float | None:
    """The median, rounded to a whole number; None without values."""
    return round(median(values)) if values else None


def ninth_tenth(values: Sequence[float]) -> float | None:
    """The 90th percentile, rounded to a whole number; None without values."""
    if not values:
        return None
    return round(quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0])


def day_of(at: datetime, timezone: ZoneInfo) -> tuple[str, str]:
    """Key and name of the line for the local day, both ``2026-01-31``."""
    day = at.astimezone(timezone).date().isoformat()
    return day, day


def hour_of(at: datetime, timezone: ZoneInfo) -> tuple[str, str]:
    """Key and name of the line for the local hour of the day, ``09`` and ``09:00``."""
    hour = at.astimezone(timezone).hour
    return f"{hour:02}", f"{hour:02}:00"


def of_person(user_id: int | None, name: str, nobody: str) -> tuple[str, str]:
    """Key and name of the line for a person; ``nobody`` is the name for rows without one."""
    return (str(user_id), name) if user_id is not None and name else ("nobody", nobody)


def cell(value: Any) -> str:
    """A value as text for CSV. A text that a spreadsheet would run as a formula gets a leading apostrophe; a time is written to the minute."""
    if value is None:
        return ""
    text = f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
