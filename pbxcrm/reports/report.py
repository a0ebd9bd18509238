"""What a report is: declared once, shown as a page, as JSON, CSV and XLSX, and opened down to the rows behind each figure."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Viewer
from pbxcrm.people.models import User


class Kind(StrEnum):
    """How a column's values are written and read."""

    TEXT = "text"
    COUNT = "count"
    PERCENT = "percent"  # 0 to 100, None where there is nothing to share
    MINUTES = "minutes"  # working minutes, None where there is nothing to measure
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Column:
    """``title`` is English, for pages to translate. ``opens``: each of its figures has rows behind it."""

    key: str
    title: str
    kind: Kind
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for: from ``since`` until (not including) ``until``, in the days of ``timezone``; of whom; split ``by`` what."""

    since: datetime
    until: datetime
    timezone: ZoneInfo
    now: datetime
    by: str
    team_id: int | None = None
    user_id: int | None = None
    pipeline_id: int | None = None

    def of_people(self, column: int | None) -> list[ColumnElement[bool]]:
        """Conditions for rows whose ``column`` names one of those asked for; none where nobody in particular is."""
        found: list[ColumnElement[bool]] = []
        if self.user_id is not None:
            found.append(col(column) == self.user_id)
        if self.team_id is not None:
            found.append(col(column).in_(select(User.id).where(User.team_id == self.team_id)))
        return found


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report. ``key`` names it when its figures are opened; ``name`` is what it is called."""

    key: str
    name: str
    values: Mapping[str, Any]
    behind: Mapping[str, Sequence["Behind"]] = field(default_factory=dict)  # column -> the rows of its figure


@dataclass(frozen=True, slots=True)
class Behind:
    """A row that a figure counts: a call, callback, deal or task."""

    kind: str
    id: int
    title: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A report as it is shown: its lines in order and the sum below."""

    lines: Sequence[Line]
    totals: Mapping[str, Any]


Load = Callable[[AsyncSession, Viewer, Asked], Awaitable[Table]]


@dataclass(frozen=True, slots=True)
class Report:
    """``definition`` says what is counted and how, in one paragraph; ``dimensions`` are what it can be split by, the first by itself."""

    name: str
    title: str
    definition: str
    dimensions: Mapping[str, str]  # key -> English title
    columns: tuple[Column, ...]
    load: Load
    needs: Permission = Permission.REPORTS_READ
    bar: str = ""  # the column that is drawn as bars

    def column(self, key: str) -> Column | None:
        """The column of this key, else None."""
        return next((each for each in self.columns if each.key == key), None)


_reports: dict[str, Report] = {}


def register_reports(*reports: Report) -> None:
    """Fill the list of reports, in the order in which they are shown."""
    _reports.clear()
    _reports.update({report.name: report for report in reports})


def all_reports() -> list[Report]:
    """Every registered report, in the order in which they are shown."""
    return list(_reports.values())


def get_report(name: str) -> Report | None:
    """The report of this name, else None."""
    return _reports.get(name)
