"""``GET /dialplan/lookup``: the dialplan asks who is calling, before the phone rings.

Open to the networks of ``PBXCRM_DIALPLAN_NETWORKS`` (by default only this machine); other senders need a token. A token narrows
the answer to what its owner may see, wherever it comes from. Permitted requests are always answered with 200 within half a
second, empty if nothing is known: a call must never wait for us.
"""

from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.reactions.caller_lookup import Lookup
from web.api.problems import problem
from web.auth import viewer_by_token
from web.listed_networks import is_near
from web.parts import parts


async def lookup(request: Request) -> Response:
    """``GET /dialplan/lookup``: name and extension for a caller's number. 403 for other networks without a token, and for a wrong token."""
    near = is_near(request, parts(request).settings.dialplan_networks) and "authorization" not in request.headers
    asker = None if near else await viewer_by_token(request)
    if not near and (asker is None or not can(asker, Permission.CONTACTS_READ)):
        detail = (
            "Look-ups are answered to the networks of PBXCRM_DIALPLAN_NETWORKS, or with Authorization: Bearer TOKEN."
        )
        return problem(403, "dialplan.foreign", detail)
    query = request.query_params
    caller = await _lookup(request).find(query.get("number"), query.get("did"), asker)
    if query.get("format") == "text":
        return PlainTextResponse(f"{caller.name}\n{caller.extension}\n")
    return JSONResponse({"name": caller.name, "extension": caller.extension})


def _lookup(request: Request) -> Lookup:
    """The look-up of this process. There is one, because it caches people and calendars."""
    state = request.app.state
    if not hasattr(state, "lookup"):
        on = parts(request)
        state.lookup = Lookup(on.db, on.settings, on.clock)
    return cast("Lookup", state.lookup)
