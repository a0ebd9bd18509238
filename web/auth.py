"""Who asks: the session cookie, the doors of the routes, and where one is sent to log in."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pbxcrm.access import Viewer, check
from pbxcrm.people.queries import get_viewer_by_session, get_viewer_by_token
from pbxcrm.people.rules import SESSION_LIFE
from pbxcrm.shared.errors import NotAllowed
from web import csrf, foreign
from web.doors import Door, Handler, Rule
from web.parts import now, parts, viewer

COOKIE = "pbxcrm_session"
LOGIN = "/login"


def cookie_name(request: Request) -> str:
    """Over HTTPS the name itself forbids a cookie planted by a neighbouring site (RFC 6265bis, ``__Host-``)."""
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def session_token(request: Request) -> str | None:
    return request.cookies.get(cookie_name(request))


def give_cookie(request: Request, response: Response, token: str) -> None:
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def delete_cookie(request: Request, response: Response) -> None:
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
        return await get_viewer_by_token(session, token.strip())


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
