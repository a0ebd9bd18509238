"""Who asks: the session cookie, the doors of the routes, and where one is sent to log in."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.access import Viewer, check
from pbxcrm.people.queries import get_viewer_by_session, viewer_of
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.people.tokens import user_of_token
from pbxcrm.shared.errors import NotAllowed
from web import csrf, foreign
from web.doors import Door, Handler, Rule
from web.parts import now, parts, viewer

COOKIE = "pbxcrm_session"
DEVICE = "pbxcrm_device"  # the browser, known again after a log-out; it opens nothing (``pbxcrm.people.throttle``)
DEVICE_SECONDS = 365 * 24 * 3600
LOGIN = "/login"


def cookie_name(request: Request) -> str:
    """Over HTTPS the name itself forbids a cookie planted by a neighbouring site (RFC 6265bis, ``__Host-``)."""
    return _named(request, COOKIE)


def _named(request: Request, name: str) -> str:
    return f"__Host-{name}" if request.url.scheme == "https" else name


def session_token(request: Request) -> str | None:
    """The token of the browser's cookie; None without one."""
    return request.cookies.get(cookie_name(request))


def give_cookie(request: Request, response: Response, token: str) -> None:
    """Log this browser in."""
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
    """The browser's own token; empty where it has none yet."""
    return request.cookies.get(_named(request, DEVICE), "")[:100]


def remember_device(request: Request, response: Response, token: str) -> None:
    """Set the cookie by which a browser is known again after a log-out."""
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
    """Log this browser out; the session itself is ended elsewhere."""
    response.delete_cookie(
        cookie_name(request), path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


async def viewer_by_session(request: Request) -> Viewer | None:
    """The person behind the session cookie; None without one, or when it is worth nothing any more."""
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
    """``target`` where it is a path of ours, else the front page; never the login page itself."""
    return foreign.local_path(target, but=LOGIN)


def to_login(request: Request) -> Response:
    """Where a person without a session is sent; a part of a page is refused, and the page knows what to do."""
    if request.headers.get("hx-request") == "true":  # js/session.js: what has been typed on the page must not be lost
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Reswap": "none"})
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = local_path(back) if request.method == "GET" else "/"
    address = LOGIN if back == "/" else f"{LOGIN}?{urlencode({'next': back})}"
    if "text/html" not in request.headers.get("accept", "text/html"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def guarded(rule: Rule, handler: Handler) -> Handler:
    """``handler`` behind its door: it runs only for whom the rule lets in."""

    async def enter(request: Request) -> Response:
        if rule.door is Door.TOKEN:
            request.state.viewer = await viewer_by_token(request)
            if request.state.viewer is None:
                raise Unauthorized
        else:
            csrf.check(request.method, request.headers)
            if rule.door is Door.SESSION and request.state.viewer is None:
                return to_login(request)
        if rule.needs is not None:
            check(viewer(request), rule.needs)
        return await handler(request)

    return enter


class Unauthorized(NotAllowed):
    """A program came without a valid token."""

    status = 401

    def __init__(self) -> None:
        super().__init__("api.token", "Send a valid token: Authorization: Bearer TOKEN.")
