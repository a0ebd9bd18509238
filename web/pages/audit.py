"""The audit log: who changed what, when, and why the product did something by itself."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.audit.queries import AuditFilter, list_entries
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from web import audit_words
from web.cursors import next_of_id, read_id
from web.pages.common import LISTED, PERIODS, asked_number, asked_text, period, show
from web.parts import parts, viewer

BY_ITSELF = "itself"


async def listed(request: Request) -> Response:
    """``GET /settings/audit?who=&what=&kind=&q=&period=``: newest first; the address holds all filters."""
    asked = request.query_params
    what, kind, days = asked_text(request, "what"), asked_text(request, "kind"), asked_text(request, "period")
    since, until = period(days)
    chosen = AuditFilter(
        actor_id=asked_number(request, "who"),
        by_itself=asked.get("who", "") == BY_ITSELF,
        action=what if what in audit_words.ACTIONS else "",
        entity=kind if kind in audit_words.ENTITIES else "",
        entity_id=asked_text(request),
        since=since,
        until=until,
    )
    async with parts(request).db.read() as session:
        before = read_id(request.query_params.get("cursor", ""))
        rows = await list_entries(session, viewer(request), chosen, before=before, limit=LISTED + 1)
        people = await load_directory(session)
        funnel = await load_funnel(session)
    return show(
        request,
        "audit/list.html",
        fragment="audit/_rows.html",
        rows=[(row, audit_words.details(row, people, funnel.stages)) for row in rows[:LISTED]],
        more=next_of_id(rows[LISTED - 1].id) if len(rows) > LISTED else "",
        chosen=chosen,
        period=days if days in PERIODS else "",
        people=people,
        audit=audit_words,
    )
