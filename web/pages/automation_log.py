"""The log of a rule: each firing with what it heard, what its conditions saw, what it did, and how it ended."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.automation.count_queries import count_runs
from pbxcrm.automation.models import RunStatus
from pbxcrm.automation.queries import access_rule
from pbxcrm.automation.run_queries import RunFilter, list_runs, subjects_of
from pbxcrm.people.directory import load_directory
from web.cursors import next_of_id, read_id
from web.pages.common import LISTED, show
from web.parts import now, parts, viewer

PERIODS = {"day": 1, "week": 7, "month": 30}  # days


async def log(request: Request) -> Response:
    """``GET /automation/12/log``: ``state`` is a status of firings, ``period`` one of ``PERIODS``; without one since ever."""
    params, who = request.query_params, viewer(request)
    status = params.get("state", "") if params.get("state", "") in set(RunStatus) else ""
    days = PERIODS.get(params.get("period", ""))
    since = now(request) - timedelta(days=days) if days is not None else None
    rule_id = request.path_params["automation_id"]
    async with parts(request).db.read() as session:
        rule = await access_rule(session, who, rule_id)
        asked = RunFilter(rule_id=rule_id, status=status, since=since)
        before = read_id(params.get("cursor", ""))
        found = await list_runs(session, who, asked, before=before, limit=LISTED + 1)
        deals, contacts = await subjects_of(session, [row.run for row in found])
        counts = await count_runs(session, who, now(request) - timedelta(days=days or PERIODS["month"]), rule_id)
        people = await load_directory(session)
    rows = found[:LISTED]
    return show(
        request,
        "automation/log.html",
        fragment="automation/_log_rows.html",
        rule=rule,
        rows=rows,
        more=next_of_id(rows[-1].run.id) if len(found) > LISTED else "",
        deals=deals,
        contacts=contacts,
        people=people,
        counts=counts.get(rule_id, {}),
        chosen=status,
        period=params.get("period", "") if days is not None else "",
    )
