"""Authentication: session cookies, API tokens, the check in front of each route, and the redirect to the login page."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.access import Viewer, check
from pbxcrm.people.api_tokens import user_of_token
from pbxcrm.people.queries import get_viewer_by_session, viewer_of
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.shared.errors import NotAllowed
from web import csrf, untrusted
from web.doors import Door, Handler, Rule
from web.parts import now, parts, viewer

COOKIE = "pbxcrm_session"
DEVICE = "pbxcrm_device"  # recognises the browser after a log-out, for counting wrong passwords; it gives no access (``pbxcrm.people.login_throttle``)
DEVICE_SECONDS = 365 * 24 * 3600
LOGIN = "/login"


def cookie_name(request: Request) -> str:
    """The name of the session cookie. Over HTTPS its prefix ``__Host-`` keeps other sites from setting it (RFC 6265bis)."""
    return _named(request, COOKIE)


def _named(request: Request, name: str) -> str:
    return f"__Host-{name}" if request.url.scheme == "https" else name


def session_token(request: Request) -> str | None:
    """The token of the browser's cookie; None without one."""
    return request.cookies.get(cookie_name(request))


def give_cookie(request: Request, response: Response, token: str) -> None:
    """Set the session cookie."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def device_of(request: Request) -> str:
    """The token that identifies the browser; empty for one without such a cookie."""
    return request.cookies.get(_named(request, DEVICE), "")[:100]


def remember_device(request: Request, response: Response, token: str) -> None:
    """Set the cookie that identifies a browser after a log-out."""
    response.set_cookie(
        _named(request, DEVICE),
        token,
        max_age=DEVICE_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def delete_cookie(request: Request, response: Response) -> None:
    """Delete the session cookie. The session itself is ended by the caller."""
    response.delete_cookie(
        cookie_name(request), path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


async def viewer_by_session(request: Request) -> Viewer | None:
    """The person of the session cookie; None without a cookie, or when its session has ended."""
    token = session_token(request)
    if not token:
        return None
    async with parts(request).db.read() as session:
        return await get_viewer_by_session(session, token, now(request))


async def viewer_by_token(request: Request) -> Viewer | None:
    """The person whose API token the request carries; None without one, or with a wrong one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    async with parts(request).db.read() as session:
        user = await user_of_token(session, token.strip(), now(request))
        return None if user is None else await viewer_of(session, user)


def local_path(target: str | None) -> str:
    """``target`` if it is a path of this site, else ``/``. The login page counts as no target."""
    return untrusted.local_path(target, but=LOGIN)


def to_login(request: Request) -> Response:
    """The answer to a request without a session: a redirect to the login page, or 401 for a part of a page."""
    if request.headers.get("hx-request") == "true":  # js/session.js: what has been typed on the page must not be lost
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Reswap": "none"})
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = local_path(back) if request.method == "GET" else "/"
    address = LOGIN if back == "/" else f"{LOGIN}?{urlencode({'next': back})}"
    if "text/html" not in request.headers.get("accept", "text/html"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def guarded(rule: Rule, handler: Handler) -> Handler:
    """``handler`` with its check: it runs only for people whom ``rule`` allows."""

    async def enter(request: Request) -> Response:
        if rule.door is Door.TOKEN:
            request.state.viewer = await viewer_by_token(request)
            if request.state.viewer is None:
                raise Unauthorized
        elif rule.door is Door.OUTSIDE:
            request.state.viewer = request.state.shell = None
        else:
            csrf.check(request.method, request.headers)
            if rule.door is Door.SESSION and request.state.viewer is None:
                return to_login(request)
        if rule.needs is not None:
            check(viewer(request), rule.needs)
        return await handler(request)

    return enter


class Unauthorized(NotAllowed):
    """A program sent no valid token."""

    status = 401

    def __init__(self) -> None:
        super().__init__("api.token", "Send a valid token: Authorization: Bearer TOKEN.")
