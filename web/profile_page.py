"""The page of one's profile, shown by whoever changes something on it: one's settings, password, browsers, tokens."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.access import Viewer
from pbxcrm.people.queries import list_sessions
from pbxcrm.people.tokens import list_tokens
from web.forms import Form, filled
from web.parts import now, parts, viewer
from web.rendering import render


def _as_it_is(who: Viewer) -> Form:
    return filled({name: getattr(who, name) for name in ("name", "language", "theme", "popup", "sound", "notify")})


async def profile_page(
    request: Request,
    *,
    form: Form | None = None,
    password: Form | None = None,
    token: Form | None = None,
    secret: str = "",
    status: int = 200,
) -> HTMLResponse:
    """The profile; ``secret`` is a token that was just made."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        sessions = await list_sessions(session, who.user_id, now(request))
        tokens = await list_tokens(session, who.user_id)
    return render(
        request,
        "session/profile.html",
        status=status,
        form=form or _as_it_is(who),
        password=password or Form(),
        token=token or filled({"days": "365"}),
        secret=secret,
        sessions=sessions,
        tokens=tokens,
    )
