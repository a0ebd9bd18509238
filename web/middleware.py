"""Middleware: time and number of each request, who asks, the language, and the security headers of the answer."""

import secrets
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pbxcrm.access import Viewer
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import get_viewer_by_session
from web.auth import session_token
from web.database_timeout import patiently
from web.i18n import Here, Language, preferred, speaking
from web.parts import Parts
from web.problems import away, fault
from web.shell import load_shell

log = structlog.get_logger()
LANGUAGE_COOKIE = "pbxcrm_language"  # chosen on the login page, before anybody is logged in
STATIC = "/static/"
HEALTHZ = "/healthz"  # nobody is recognised there, so that it answers also while the database does not
# Scripts, styles, connections and workers only from ourselves; no inline code or styles anywhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
YEAR_SECONDS = 365 * 24 * 3600
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class SecurityHeaders:
    """Adds the security headers. It is pure ASGI, so that streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if scope["scheme"] == "https":  # from our own TLS, or from a proxy in ``trusted_proxies``
                    headers.setdefault("strict-transport-security", f"max-age={YEAR_SECONDS}")
            await send(message)

        await self.app(scope, receive, guarded)


class WhoAndWhen:
    """Sets ``request.state.now``, ``.number``, ``.viewer`` and ``.shell``, and the language of the request.

    The database session is closed before the handler runs: none is held while a stream flows.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self.parts = parts
        self.timezone = ZoneInfo(parts.settings.timezone)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.now = self.parts.clock()
        request.state.number = secrets.token_hex(4)
        request.state.viewer = None
        request.state.shell = None
        started = given_up = False

        async def noting(message: Message) -> None:
            nonlocal started
            if given_up:
                return  # somebody else has answered
            started = True
            await send(message)

        viewer: Viewer | None = None

        async def serve() -> None:
            nonlocal viewer
            viewer = await self._recognise(request)
            with speaking(self._place(request, viewer)):
                await self.app(scope, receive, noting)

        try:
            await patiently(serve, started=lambda: started)
        except ClientDisconnect:
            log.debug("web.vanished", path=request.url.path)  # the client is gone: there is nobody to answer
        except SQLAlchemyError as error:
            # The database went away, or hangs, before it was known who asks: the usual error page.
            if started:
                raise
            given_up = True
            with speaking(self._place(request, viewer)):
                await (await away(request, error))(scope, receive, send)
        except Exception as error:
            if not started:
                with speaking(self._place(request, viewer)):
                    await (await fault(request, error))(scope, receive, send)
            raise  # so that the server's log has the traceback

    async def _recognise(self, request: Request) -> Viewer | None:
        token = session_token(request)
        if not token or request.url.path.startswith(STATIC) or request.url.path == HEALTHZ:
            return None
        async with self.parts.db.read() as session:
            viewer = await get_viewer_by_session(session, token, request.state.now)
            if viewer is None:
                return None
            request.state.viewer, request.state.people = viewer, await load_directory(session)
            if _shows_shell(request):
                with speaking(self._place(request, viewer)):
                    request.state.shell = await load_shell(request, viewer, session, request.state.now)
        return viewer

    def _place(self, request: Request, viewer: Viewer | None) -> Here:
        settings = self.parts.settings
        return Here(
            _language(request, viewer, Language(settings.language)), self.timezone, request.state.now, settings.currency
        )


def _shows_shell(request: Request) -> bool:
    """Whether the answer may be a whole page. Counters are not loaded for parts of pages and streams."""
    headers = request.headers
    if request.url.path == "/live" or request.url.path.startswith("/api/"):
        return False
    return headers.get("hx-request") != "true" or headers.get("hx-request-type") == "full" or "hx-boosted" in headers


def _language(request: Request, viewer: Viewer | None, default: Language) -> Language:
    """The language: that of the page whose part is asked for, else the person's own or the one chosen at log-in, else the browser's."""
    of_page = request.headers.get("page-language", "")
    for wish in (of_page, viewer.language if viewer else "", request.cookies.get(LANGUAGE_COOKIE, "")):
        language = Language.of(wish)
        if language is not None:
            return language
    return preferred(request.headers.get("accept-language", ""), default)
