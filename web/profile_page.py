"""The profile page. Each handler that changes something on it (settings, password, browsers, tokens) answers with it."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.access import Viewer
from pbxcrm.notices.queries import last_digest
from pbxcrm.notices.rules import format_clock
from pbxcrm.people.api_tokens import list_tokens
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import list_sessions
from pbxcrm.tasks.calendar_feeds import get_feed
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
    notices: Form | None = None,
    secret: str = "",
    feed_secret: str = "",
    status: int = 200,
) -> HTMLResponse:
    """The profile. ``secret``: an API token that was just made; ``feed_secret``: the new secret in the calendar's address."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        sessions = await list_sessions(session, who.user_id, now(request))
        tokens = await list_tokens(session, who.user_id)
        feed = await get_feed(session, who.user_id)
        digest = await last_digest(session, who.user_id)
        user = (await load_directory(session)).users[who.user_id]
    return render(
        request,
        "session/profile.html",
        status=status,
        form=form or _as_it_is(who),
        password=password or Form(),
        token=token or filled({"days": "365"}),
        notices=notices
        or filled(
            {
                "email": user.email,
                "digest_at": format_clock(user.digest_at),
                "quiet_desktop": user.quiet_desktop,
                "quiet_digest": user.quiet_digest,
            }
        ),
        digest=digest,
        has_mail=bool(parts(request).settings.smtp_url),
        secret=secret,
        feed=feed,
        feed_address=f"{str(request.base_url).rstrip('/')}/feeds/{feed_secret}.ics" if feed_secret else "",
        sessions=sessions,
        tokens=tokens,
    )
