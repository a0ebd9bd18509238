"""First steps of an administrator on a new installation. Each step is ticked when it has happened."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.calls.queries import unmapped_extensions
from pbxcrm.calls.unmapped_phones import unmapped_endpoints
from pbxcrm.deals.queries import default_pipeline
from pbxcrm.pbx.queries import pbx_statuses
from pbxcrm.upkeep.first_run import ESSENTIAL, KEEPABLE, FirstRunStep, keep_as_it_is, load_first_run, put_away
from web.answers import redirect
from web.forms import read_form
from web.pages.common import show
from web.parts import now, parts, viewer, wants_fragment
from web.pbx_findings import pbx_finding

PATH = "/settings/start"


def _configured(request: Request) -> list[str]:
    return [pbx.name for pbx in parts(request).settings.pbxs]


async def settings(request: Request) -> Response:
    """``GET /settings``: the first steps while some remain, then the lines."""
    async with parts(request).db.read() as session:
        run = await load_first_run(session, _configured(request))
    return RedirectResponse(PATH if run.left and not run.put_away else "/settings/lines", 303)


async def steps(request: Request) -> Response:
    """``GET /settings/start``: the list refreshes while it is open."""
    configured = _configured(request)
    async with parts(request).db.read() as session:
        run = await load_first_run(session, configured)
        statuses = [row for row in await pbx_statuses(session) if row.pbx in configured]
        endpoints = await unmapped_endpoints(session, parts(request).settings)
        strays = await unmapped_extensions(session)
        pipeline = await default_pipeline(session)
    return show(
        request,
        "first_run/page.html",
        fragment="first_run/_steps.html",
        run=run,
        steps=list(FirstRunStep),
        essential=ESSENTIAL,
        keepable=KEEPABLE,
        configured=configured,
        pbxs=[pbx_finding(row, now(request)) for row in statuses],
        unreported=[name for name in configured if name not in {row.pbx for row in statuses}],
        endpoints=endpoints,
        strays=strays,
        pipeline=pipeline,
    )


async def keep(request: Request) -> Response:
    """``POST /settings/start/keep`` ``step``: mark a shipped default as accepted."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await keep_as_it_is(session, viewer(request), form["step"], now(request))
    return await steps(request) if wants_fragment(request) else redirect(request, PATH)


async def away(request: Request) -> Response:
    """``POST /settings/start/away``: hide the reminder (``away=1``), or show it again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await put_away(session, viewer(request), now(request), away=form.ticked("away"))
    return redirect(request, "/board" if form.ticked("away") else PATH)
