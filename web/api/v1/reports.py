"""Reports, and the rows behind each figure."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field
from starlette.responses import Response

from pbxcrm.access.permissions import Permission
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.queries import (
    ALL,
    Filter,
    PeriodBefore,
    access_report,
    column_with_rows,
    load_before,
    load_report,
    reports_for,
    rows_behind,
)
from pbxcrm.reports.report import Asked, ColumnKind, Report, Table
from pbxcrm.shared.errors import Invalid
from web.api.fields import ApiAnswer, ApiRequest, IdText, Login, Moment, ShortListQuery, Word
from web.api.resource import Ask, Page, Resource
from web.exports import XLSX
from web.i18n import Here, Language, speaking
from web.report_files import FILES, rows_file

reports = Resource("reports", "Reports on what you may see, and the rows behind each figure.")


def _in_our_age(day: date) -> date:
    if not 1970 <= day.year < 2200:
        raise ValueError("the year must lie between 1970 and 2199")
    return day


Day = Annotated[date, Field(strict=False), AfterValidator(_in_our_age)]


class ColumnOut(ApiAnswer):
    """A column of a report."""

    key: str
    title: str
    kind: ColumnKind
    opens: bool = Field(description="Whether `/rows` lists the rows that its figures count.")


class ReportOut(ApiAnswer):
    """A report and how it may be grouped."""

    name: str
    title: str
    definition: str
    dimensions: list[str] = Field(description="Values of `by`; the first is the default.")
    columns: list[ColumnOut]


class LineOut(ApiAnswer):
    """A line of a report."""

    key: str = Field(
        description="Send it as `row` to get the rows behind its figures; `all` for those behind the totals."
    )
    name: str
    under: str = Field("", description="A second name, such as the pipeline of a stage.")
    values: dict[str, Any]
    before: dict[str, Any] | None = Field(
        None, description="The compared figures of the period before; null: nothing there."
    )


class TableOut(ApiAnswer):
    """A report for a period."""

    name: str
    definition: str
    by: str
    since: Moment = Field(alias="from")
    until: Moment
    columns: list[ColumnOut]
    rows: list[LineOut]
    before_from: Moment | None = Field(
        None, description="When the period before begins; null: this report compares nothing."
    )
    totals_before: dict[str, Any] | None = None
    totals: dict[str, Any] = Field(description="Of all rows together; medians and shares are calculated over all rows.")


class BehindOut(ApiAnswer):
    """A row behind a figure."""

    kind: Literal["call", "callback", "deal", "task", "lamp", "contact", "company"]
    id: int
    title: str
    at: Moment
    value: float | str | bool | None = Field(
        None,
        description="What it adds to a figure that is no count: working minutes, a sum of money as text, percent, or for a share "
        "whether it is in it.",
    )


class ReportQuery(ApiRequest):
    """Days of the time zone in which times are shown (`PBXCRM_TIMEZONE`), like "today" everywhere; `until` is the last day."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    since: Day | None = Field(None, alias="from", description="null: thirty days ago.")
    until: Day | None = Field(None, description="The last day; null: today.")
    by: Word | None = None
    team: IdText | None = Field(None, description="The id of a team.")
    login: Login | None = None
    pipeline: IdText | None = None
    format: Literal["json", "csv", "xlsx"] = "json"


class RowsQuery(ReportQuery, ShortListQuery):
    """A figure of a report, and the period."""

    row: Word = Field(description="`key` of the line.")
    column: Word = Field(description="`key` of the column.")


@reports.get("/reports", needs=Permission.OWN_PROFILE, summary="The reports you may read")
async def read_reports(ask: Ask, query: ShortListQuery) -> Page[ReportOut]:
    """All of them, unless you ask for less."""
    return Page[ReportOut].part_of([_report(report) for report in reports_for(ask.viewer)], query)


@reports.get("/reports/{report}", needs=Permission.OWN_PROFILE, summary="One report", files=("text/csv", XLSX))
async def read_report(ask: Ask, report: str, query: ReportQuery) -> TableOut | Response:
    """`format=csv` and `format=xlsx` answer with a file."""
    found = access_report(ask.viewer, report)
    asked, table = await load_report(ask.session, ask.viewer, found, await _filter(ask, query), now=ask.now)
    if query.format != "json":
        return as_file(found, table, query.format)
    return _table(found, asked, table, await load_before(ask.session, ask.viewer, found, asked))


@reports.get(
    "/reports/{report}/rows", needs=Permission.OWN_PROFILE, summary="The rows behind a figure", files=("text/csv", XLSX)
)
async def read_report_rows(ask: Ask, report: str, query: RowsQuery) -> Page[BehindOut] | Response:
    """All of them, unless you ask for less. `format=csv` and `format=xlsx` answer with a file of all of them, with links to their pages
    and times by the clock of `PBXCRM_TIMEZONE`; `limit` and `cursor` are for JSON only.
    """
    found = access_report(ask.viewer, report)
    _, table = await load_report(ask.session, ask.viewer, found, await _filter(ask, query), now=ask.now)
    column = column_with_rows(found, query.column)
    rows = rows_behind(table, query.row, column)
    if query.format != "json":
        with speaking(Here(Language.EN, ZoneInfo(ask.settings.timezone), ask.now)):
            return rows_file(query.format, found, query.row, column, rows, ask.home)
    items = [
        BehindOut(kind=row.kind, id=row.id, title=row.title, at=row.at, value=_plain_value(row.value))  # type: ignore[arg-type]
        for row in rows
    ]
    return Page[BehindOut].part_of(items, query)


def as_file(report: Report, table: Table, kind: str) -> Response:
    """The report as a file to download."""
    head = [report.title, *(column.title for column in report.columns)]
    rows = [
        [
            ", ".join(name for name in (line.name, line.under) if name),
            *(line.values.get(column.key) for column in report.columns),
        ]
        for line in table.lines
    ]
    if table.totals:
        rows.append(["", *(table.totals.get(column.key) for column in report.columns)])
    return FILES[kind](report.name, head, rows)


async def _filter(ask: Ask, query: ReportQuery) -> Filter:
    people = await load_directory(ask.session)
    zone = ZoneInfo(ask.settings.timezone)
    today = ask.now.astimezone(zone).date()
    last = query.until or today
    first = query.since or last - timedelta(days=29)
    user_id = None
    if query.login is not None:
        user_id = next((id_ for id_, user in people.users.items() if user.login == query.login.lower()), None)
        if user_id is None:
            raise Invalid("login", "people.not_found", "There is no such person, or they are not in your team.")
    return Filter(
        datetime.combine(first, time(), zone),
        datetime.combine(last + timedelta(days=1), time(), zone),
        zone,
        query.by or "",
        query.team,
        user_id,
        query.pipeline,
    )


def _report(report: Report) -> ReportOut:
    return ReportOut(
        name=report.name,
        title=report.title,
        definition=report.definition,
        dimensions=list(report.dimensions),
        columns=_columns(report),
    )


def _columns(report: Report) -> list[ColumnOut]:
    return [ColumnOut(key=each.key, title=each.title, kind=each.kind, opens=each.opens) for each in report.columns]


def _table(report: Report, asked: Asked, table: Table, before: PeriodBefore | None) -> TableOut:
    def compared(key: str) -> dict[str, Any] | None:
        found = before.values.get(key) if before is not None else None
        return _plain({each: found.get(each) for each in report.compared}) if found else None

    said = {
        "name": report.name,
        "definition": report.definition,
        "by": asked.by,
        "from": asked.since,
        "until": asked.until,
        "columns": _columns(report),
        "rows": [
            LineOut(
                key=line.key, name=line.name, under=line.under, values=_plain(line.values), before=compared(line.key)
            )
            for line in table.lines
        ],
        "before_from": before.since if before is not None else None,
        "totals_before": compared(ALL),
        "totals": _plain(table.totals),
    }
    return TableOut.model_validate(said)


def _plain(values: Any) -> dict[str, Any]:
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    return format(value, ".2f") if isinstance(value, Decimal) else value
