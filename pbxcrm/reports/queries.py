"""Loading a report with its access checks, and the rows behind one of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Permission, Viewer, can, check
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.people.queries import access_user, list_teams
from pbxcrm.reports.report import Asked, Behind, Column, Report, Table, all_reports, get_report
from pbxcrm.shared.errors import Invalid, NotFound

LONGEST_DAYS = 5 * 366


@dataclass(frozen=True, slots=True)
class Filter:
    """The request for a report, not checked yet; ``load_report`` checks it."""

    since: datetime
    until: datetime
    timezone: ZoneInfo  # for lines by day and hour; the one in which the pages show times
    by: str = ""
    team_id: int | None = None
    user_id: int | None = None
    pipeline_id: int | None = None


ALL = "all"  # used as the key of a line: the rows behind the totals


def reports_for(viewer: Viewer) -> list[Report]:
    """The reports that the viewer may read, in order."""
    return [report for report in all_reports() if can(viewer, report.needs)]


def access_report(viewer: Viewer, name: str) -> Report:
    """The report of this name. Raises NotFound for an unknown one, NotAllowed when the viewer's role may not read it."""
    report = get_report(name)
    if report is None:
        raise NotFound("reports.not_found", "There is no such report.")
    check(viewer, report.needs)
    return report


async def load_report(
    session: AsyncSession, viewer: Viewer, report: Report, wanted: Filter, *, now: datetime
) -> tuple[Asked, Table]:
    """The checked request and the figures over what the viewer may see. Raises Invalid at ``until``, ``by``, ``team``, ``login`` or
    ``pipeline``, NotFound for a person whom the viewer may not see.
    """
    if wanted.until <= wanted.since:
        raise Invalid("until", "reports.backwards", "The period ends before it begins.")
    if (wanted.until - wanted.since).days > LONGEST_DAYS:
        raise Invalid("until", "reports.too_long", "A report covers at most five years.")
    by = wanted.by or next(iter(report.dimensions))
    if by not in report.dimensions:
        raise Invalid("by", "reports.by", "This report cannot be split this way.")
    if wanted.team_id is not None and wanted.team_id not in {team.id for team in await list_teams(session)}:
        raise Invalid("team", "reports.no_team", "There is no such team.")
    if wanted.pipeline_id is not None:
        if not report.by_pipeline:
            raise Invalid("pipeline", "reports.of_every_pipeline", "This report cannot be limited to one pipeline.")
        if wanted.pipeline_id not in {pipeline.id for pipeline, _stages in await list_pipelines(session)}:
            raise Invalid("pipeline", "reports.no_pipeline", "There is no such pipeline.")
    if wanted.user_id is not None and wanted.user_id != viewer.user_id:
        if not can(viewer, Permission.REPORTS_READ):
            raise Invalid("login", "reports.own", "Only your own figures are shown to you.")
        await access_user(session, viewer, wanted.user_id)
    asked = Asked(
        wanted.since, wanted.until, wanted.timezone, now, by, wanted.team_id, wanted.user_id, wanted.pipeline_id
    )
    return asked, await report.load(session, viewer, asked)


@dataclass(frozen=True, slots=True)
class PeriodBefore:
    """The figures that are compared, of the period before, by the key of their line; ``ALL`` for the totals."""

    since: datetime
    until: datetime
    values: Mapping[str, Mapping[str, Any]]

    @property
    def first_day(self) -> date:
        """Its first day, in the time zone of the report."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """Its last day, in the time zone of the report."""
        return (self.until - timedelta(seconds=1)).date()


async def load_before(session: AsyncSession, viewer: Viewer, report: Report, asked: Asked) -> PeriodBefore | None:
    """The period before, for reports that compare; else None."""
    if not report.compared:
        return None
    since = period_before(asked.since, asked.until, asked.timezone)
    before = replace(asked, since=since, until=asked.since, only=report.compared)
    table = await report.load(session, viewer, before)
    figures = {**{line.key: line.values for line in table.lines}, ALL: table.totals}
    # Nothing else: a column that was not asked for has not been counted.
    values = {key: {column: line.get(column) for column in report.compared} for key, line in figures.items()}
    return PeriodBefore(since, asked.since, values)


def period_before(since: datetime, until: datetime, timezone: ZoneInfo) -> datetime:
    """When the period before begins: as many months earlier if these are whole months, else as many days."""
    first, after = since.astimezone(timezone).date(), until.astimezone(timezone).date()
    if first.day == after.day == 1:
        months = (after.year - first.year) * 12 + after.month - first.month
        month = first.year * 12 + first.month - 1 - months
        earlier = date(month // 12, month % 12 + 1, 1)
    else:
        earlier = first - (after - first)
    return datetime.combine(earlier, time(), timezone)


def column_with_rows(report: Report, key: str) -> Column:
    """The column of this key. Raises Invalid if no rows stand behind its figures."""
    known = report.column(key)
    if known is None or not known.opens:
        raise Invalid("column", "reports.no_column", "Nothing stands behind this column.")
    return known


def rows_behind(table: Table, line: str, column: Column) -> Sequence[Behind]:
    """The rows behind a figure, each made when it is looked at; ``line`` is the key of its line, or ``ALL``. Raises Invalid."""
    found = table.whole if line == ALL else next((each for each in table.lines if each.key == line), None)
    if found is None:
        raise Invalid("row", "reports.no_row", "There is no such line in this report.")
    return found.behind.get(column.key, ())
