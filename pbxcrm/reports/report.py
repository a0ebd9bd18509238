"""The declaration of a report, from which the page, JSON, CSV and XLSX derive, and the rows behind each figure."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, overload
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Viewer
from pbxcrm.people.models import User


class ColumnKind(StrEnum):
    """The type of a column's values, which decides how they are shown."""

    TEXT = "text"
    COUNT = "count"
    PERCENT = "percent"  # 0 to 100, None where the whole is 0
    MINUTES = "minutes"  # working minutes, None without values
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Column:
    """``title`` is English; pages translate it. ``opens``: a figure of this column can be opened to see its rows."""

    key: str
    title: str
    kind: ColumnKind
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request: ``since <= time < until``, the ``timezone`` of days and hours, the dimension ``by``, and filters."""

    since: datetime
    until: datetime
    timezone: ZoneInfo
    now: datetime
    by: str
    team_id: int | None = None
    user_id: int | None = None
    pipeline_id: int | None = None
    only: tuple[str, ...] = ()  # the columns that are wanted, where a report need not count the others; empty: all

    def wants(self, column: str) -> bool:
        """Whether this column is to be counted."""
        return not self.only or column in self.only

    def of_people(self, column: int | None) -> list[ColumnElement[bool]]:
        """Conditions that ``column`` (a user id) is the user or a member of the team asked for; empty without such a filter."""
        found: list[ColumnElement[bool]] = []
        if self.user_id is not None:
            found.append(col(column) == self.user_id)
        if self.team_id is not None:
            found.append(col(column).in_(select(User.id).where(User.team_id == self.team_id)))
        return found


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A line of a report. ``key`` identifies it when a figure is opened; ``name`` is its title. Pages translate both names."""

    key: str
    name: str
    values: Mapping[str, Any]
    behind: Mapping[str, Sequence["Behind"]] = field(default_factory=dict)  # column key -> the rows behind its figure
    under: str = ""  # a second name, such as the pipeline of a stage


@dataclass(frozen=True, slots=True)
class Behind:
    """A row that a figure counts: a call, callback, deal, task, contact or company.

    ``value``: what it adds to a figure that is no count. Working minutes for a median, an amount for a sum, percent for an average, and
    for a share whether the row is in it.
    """

    kind: str
    id: int
    title: str
    at: datetime
    value: float | Decimal | bool | None = None


@dataclass(frozen=True, slots=True)
class RowsBehind(Sequence[Behind]):
    """Rows behind a figure, each made only when somebody looks at it: a report has thousands and shows their number."""

    rows: Sequence[Any]
    make: Callable[[Any], Behind]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Behind: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Behind]: ...
    def __getitem__(self, at: int | slice) -> Behind | Sequence[Behind]:
        return RowsBehind(self.rows[at], self.make) if isinstance(at, slice) else self.make(self.rows[at])


@dataclass(frozen=True, slots=True)
class Table:
    """The result of a report: its lines in order, and the line ``whole`` over all rows (None: the lines have no sum)."""

    lines: Sequence[ReportLine]
    whole: ReportLine | None = None

    @property
    def totals(self) -> Mapping[str, Any]:
        """The figures over all rows; empty where the lines have no sum."""
        return self.whole.values if self.whole is not None else {}


Load = Callable[[AsyncSession, Viewer, Asked], Awaitable[Table]]


@dataclass(frozen=True, slots=True)
class Report:
    """``question`` says in one sentence what it answers, ``definition`` in one paragraph what is counted and how; ``dimensions`` are
    the possible splits, the default one first.
    """

    name: str
    title: str
    question: str
    definition: str
    dimensions: Mapping[str, str]  # key -> English title
    columns: tuple[Column, ...]
    load: Load
    needs: Permission = Permission.REPORTS_READ
    bar: str = ""  # the column that is drawn as bars
    by_pipeline: bool = False  # it can be limited to one pipeline
    compared: tuple[str, ...] = ()  # columns that are shown beside those of the period before

    def column(self, key: str) -> Column | None:
        """The column of this key, else None."""
        return next((each for each in self.columns if each.key == key), None)


_reports: dict[str, Report] = {}


def register_reports(*reports: Report) -> None:
    """Replace the list of reports. They are shown in this order."""
    _reports.clear()
    _reports.update({report.name: report for report in reports})


def all_reports() -> list[Report]:
    """Every registered report, in the order in which they are shown."""
    return list(_reports.values())


def get_report(name: str) -> Report | None:
    """The report of this name, else None."""
    return _reports.get(name)
