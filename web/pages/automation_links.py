"""Finds what a condition of a rule points to while somebody types a part of its name."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from web.link_targets import find_targets
from web.pages.common import asked_text, show
from web.parts import parts, viewer


async def find(request: Request) -> HTMLResponse:
    """``GET /automation/find?what=contact&q=``: also ``company`` and ``deal``; what a condition may point to."""
    what, text, who = asked_text(request, "what"), asked_text(request), viewer(request)
    async with parts(request).db.read() as session:
        found = await find_targets(session, who, what, text)
    return show(request, "fields/_found.html", found=found)
