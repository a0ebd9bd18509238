"""Reports by period, team and person. The address holds the filters; each figure opens the rows that it counts."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access.permissions import Permission, can
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.people.queries import list_teams, list_users
from pbxcrm.reports.grouping import MOST
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
from pbxcrm.reports.report import Report, ReportLine, Table
from pbxcrm.shared.errors import Invalid
from web.forms import Form, filled
from web.i18n import gettext as _
from web.i18n import here
from web.pages.common import asked_id, asked_number, show, today
from web.parts import home, now, parts, viewer
from web.report_files import FILES, path_of_row, rows_file

DAYS = 30
LISTED = 500  # rows behind a figure on one page


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filters of the address, as typed and as parsed."""

    form: Form
    filter: Filter


async def listed(request: Request) -> Response:
    """``GET /reports``: the reports that one may read."""
    return show(request, "reports/list.html", reports=reports_for(viewer(request)))


async def one(request: Request) -> Response:
    """``GET /reports/{name}?from=&until=&by=&team=&who=&pipeline=&format=csv|xlsx``: one report, as a page or file."""
    report = access_report(viewer(request), request.path_params["report"])
    async with parts(request).db.read() as session:
        chosen = await _chosen(session, request, report)
        try:
            table, before = await _load(session, request, report, chosen)
        except Invalid as error:
            chosen.form.refuse(error)
            table, before = Table([]), None
        teams, people = await list_teams(session), await list_users(session, viewer(request))
        pipelines = await list_pipelines(session)
    if request.query_params.get("format") in FILES and not chosen.form.errors:
        return _file(request, report, table, before)
    most = max((float(line.values.get(report.bar) or 0) for line in table.lines), default=0) if report.bar else 0
    return show(
        request,
        "reports/one.html",
        fragment="reports/_table.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if chosen.form.errors else HTTPStatus.OK,
        report=report,
        reports=reports_for(viewer(request)),
        form=chosen.form,
        table=table,
        before=before,
        by=chosen.filter.by or next(iter(report.dimensions)),
        bars={line.key: round(100 * float(line.values.get(report.bar) or 0) / most) for line in table.lines}
        if most
        else {},
        teams=[("", _("all teams")), *((team.id, team.name) for team in teams)],
        people=[("", _("everybody")), *((user.id, user.name) for user in people if user.is_active)],
        pipelines=[("", _("all pipelines")), *((each.id, _(each.name)) for each, _stages in pipelines)],
        of_others=can(viewer(request), Permission.REPORTS_READ),
        dimensions=[(key, _(title)) for key, title in report.dimensions.items()],
    )


async def rows(request: Request) -> Response:
    """``GET /reports/{name}/rows?row=&column=&at=&format=`` with the same filters: the rows that a figure counts, as a page or file."""
    report = access_report(viewer(request), request.path_params["report"])
    async with parts(request).db.read() as session:
        chosen = await _chosen(session, request, report)
        table, _before = await _load(session, request, report, chosen, compare=False)
    line, column = request.query_params.get("row", ""), column_with_rows(report, request.query_params.get("column", ""))
    found, at = rows_behind(table, line, column), min(asked_number(request, "at") or 0, MOST)
    whole = table.whole if line == ALL else next(each for each in table.lines if each.key == line)
    if (kind := request.query_params.get("format", "")) in FILES:
        return rows_file(kind, report, line, column, found, home(request))
    shown = found[at : at + LISTED]
    return show(
        request,
        "reports/rows.html",
        report=report,
        line=_("All") if whole is None or line == ALL else _named(whole),
        column=column,
        value=whole.values.get(column.key) if whole is not None else None,
        count=len(found),
        rows=[(row, path_of_row(row)) for row in shown],
        valued=any(row.value is not None for row in shown),
        is_share=any(isinstance(row.value, bool) for row in shown),
        more=at + LISTED if len(found) > at + LISTED else None,
    )


def _named(line: ReportLine) -> str:
    return ", ".join(_(name) for name in (line.name, line.under) if name)


async def _load(
    session: AsyncSession, request: Request, report: Report, chosen: Chosen, *, compare: bool = True
) -> tuple[Table, PeriodBefore | None]:
    if chosen.form.errors:
        return Table([]), None
    asked, table = await load_report(session, viewer(request), report, chosen.filter, now=now(request))
    return table, await load_before(session, viewer(request), report, asked) if compare else None


async def _chosen(session: AsyncSession, request: Request, report: Report) -> Chosen:
    zone, given, day = here().timezone, request.query_params, today()
    form = filled(
        {
            "from": given.get("from") or (day - timedelta(days=DAYS - 1)).isoformat(),
            "until": given.get("until") or day.isoformat(),
            "by": given.get("by", ""),
            "team": given.get("team", ""),
            "who": given.get("who", ""),
            "pipeline": given.get("pipeline", ""),
        }
    )
    since, until = _day(form, "from", day), _day(form, "until", day)
    return Chosen(
        form,
        Filter(
            _midnight(since, zone),
            _midnight(until + timedelta(days=1), zone),
            zone,
            form["by"] if form["by"] in report.dimensions else "",
            asked_id(request, "team"),
            asked_id(request, "who"),
            asked_id(request, "pipeline") if report.by_pipeline else None,
        ),
    )


def _day(form: Form, name: str, otherwise: date) -> date:
    try:
        found = date.fromisoformat(form[name])
    except ValueError:
        found = date.min
    if not 1970 <= found.year < 2200:
        form.errors[name] = _("Choose a date.")
        return otherwise
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _file(request: Request, report: Report, table: Table, before: PeriodBefore | None) -> Response:
    """The report as a CSV or XLSX file, with heads in the reader's language. What is compared stands behind its column."""
    head = [_(report.title)]
    for column in report.columns:
        head.append(_(column.title))
        if column.key in report.compared:
            head.append(_("%(figure)s, the period before") % {"figure": _(column.title)})
    lines = [*table.lines, *([ReportLine(ALL, _("All"), table.totals)] if table.totals else [])]
    found = []
    for line in lines:
        row: list[object] = [_named(line)]
        for column in report.columns:
            row.append(line.values.get(column.key))
            if column.key in report.compared:
                row.append(before.values.get(line.key, {}).get(column.key) if before else None)
        found.append(row)
    return FILES[request.query_params["format"]](report.name, head, found)
