"""The front page, which depends on the role, and the global search."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.callbacks.queries import open_count
from pbxcrm.fields.queries import Named, load_named
from pbxcrm.global_search import SHORTEST, Found, search
from pbxcrm.upkeep.first_run import load_first_run
from web.custom_values import show_value
from web.disconnects import while_asked_for
from web.pages.common import asked_text, show
from web.parts import parts, viewer


async def home(request: Request) -> Response:
    """``GET /``: redirects by role: sellers to open callbacks, managers to escalations, QC to calls, admins to the first steps; else the board."""
    return RedirectResponse(await _front(request), 303)


async def _front(request: Request) -> str:
    who = viewer(request)
    served: frozenset[str] = request.app.state.served
    if not can(who, Permission.CALLBACKS_WORK):
        return "/calls"
    async with parts(request).db.read() as session:
        if can(who, Permission.SETTINGS_EDIT):
            run = await load_first_run(session, [pbx.name for pbx in parts(request).settings.pbxs])
            return "/settings/start" if run.comes_by_itself else "/board"
        if can(who, Permission.ESCALATIONS_WORK):
            return "/escalations" if "/escalations" in served else "/board"
        waiting = await open_count(session, who)
    return "/callbacks" if waiting and "/callbacks" in served else "/board"


async def find(request: Request) -> Response:
    """``GET /search?q=``: the results as a list under the search field, or as a page. A search that the next one replaces is ended."""
    text = asked_text(request)
    answer = await while_asked_for(request, _found(request, text))
    if answer is None:
        return Response(status_code=204)  # nobody reads it
    found, named = answer
    return show(
        request,
        "search/page.html",
        fragment="search/_found.html",
        found=found,
        text=text,
        long_enough=len(text) >= SHORTEST,
        field_value=lambda one: show_value(one.definition, one.value, named).text,
    )


async def _found(request: Request, text: str) -> tuple[Found, Named]:
    async with parts(request).db.read() as session:
        found = await search(session, viewer(request), text, region=parts(request).settings.region)
        definitions = {one.definition.id: one.definition for one in found.by_field}
        customs = [{str(one.definition.id): one.value} for one in found.by_field]
        return found, await load_named(session, viewer(request), definitions.values(), customs)
