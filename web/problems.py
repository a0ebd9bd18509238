"""Errors in plain words: what happened and what to do, as a page, as a toast for htmx, or as JSON for programs."""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ExceptionHandler

from pbxcrm.shared.db import is_full
from pbxcrm.shared.errors import PbxcrmError, TooManyAttempts
from pbxcrm.tasks.work_rules import EndedByWork
from web import words
from web.answers import toast
from web.api.problems import problem, problem_of
from web.database_timeout import DatabaseHangs
from web.forms import Form
from web.i18n import N_
from web.i18n import gettext as _
from web.rendering import render

log = structlog.get_logger()
SECRETS = frozenset({"password", "old", "new", "again"})  # fields that are never shown again

#: status -> (heading, what to do)
WORDS: dict[int, tuple[str, str]] = {
    400: (N_("That request cannot be understood"), N_("Go back, reload the page and try again.")),
    403: (N_("This is not for you"), N_("Your role does not allow this. Ask an administrator.")),
    404: (
        N_("There is no such page"),
        N_("It may have been deleted, or it belongs to a colleague. Search for it, or go to the front page."),
    ),
    405: (N_("That does not work here"), N_("Go back, reload the page and try again.")),
    409: (N_("Somebody was faster"), N_("Reload the page to see how it stands now, then try again.")),
    413: (N_("That is too large"), N_("Send less at once.")),
    415: (N_("That cannot be read"), N_("Send the form as UTF-8.")),
    422: (N_("Something is wrong with what was sent"), N_("Go back, check the form and try again.")),
    429: (N_("Too many attempts"), N_("Wait a little, then try again.")),
    500: (
        N_("A fault of ours"),
        N_("It has been written down. Try again; if it happens again, tell your administrator the number below."),
    ),
    503: (
        N_("A part we need is away"),
        N_("The database, Redis or the PBX does not answer. Nothing is lost; try again in a moment."),
    ),
}


FULL = (
    N_("The disk of the server is full"),
    N_("Nothing can be stored until an administrator makes room there. Calls that come meanwhile are not lost."),
)


def handlers() -> Mapping[type[Exception] | int, ExceptionHandler]:
    """The handler of each kind of error, for Starlette."""
    return {
        PbxcrmError: _known,
        HTTPException: _http,
        SQLAlchemyError: away,
        RedisError: away,
    }


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, PbxcrmError)
    # Errors of the API are in English: its readers are programs.
    if isinstance(error, EndedByWork) and not _for_program(request):
        detail = words.ended_by(error.works)
    else:
        detail = str(error) if _for_program(request) else _(error.message).format(**error.params)
    if request.url.path.startswith("/api/"):
        return problem_of(error)
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyAttempts) else {}
    return _answer(request, error.status, error.code, detail, headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return Response(status_code=error.status_code, headers=error.headers)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        if request.method == "GET" and not _for_program(request) and (above := _page_above(request)):
            return RedirectResponse(above, HTTPStatus.SEE_OTHER)
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return _answer(request, error.status_code, f"http.{error.status_code}", "", headers)


def _page_above(request: Request) -> str | None:
    """The nearest page above the address of an act, which a restored tab or Enter in the address bar asks for: nothing is lost there."""
    path = request.url.path
    while path := path.rpartition("/")[0]:
        asked = {**request.scope, "path": path}
        if any(route.matches(asked)[0] is Match.FULL for route in request.app.routes):
            return path
    return None


def _methods(request: Request) -> set[str]:
    """The methods of all routes of this path, for the header ``Allow``."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def away(request: Request, error: Exception) -> Response:
    """The answer if the database or Redis does not respond; 500 if a statement of ours is wrong."""
    if isinstance(error, SQLAlchemyError) and not _is_away(error):
        log.error("web.refused_by_database", path=request.url.path, number=_number(request), exc_info=error)
        return _answer(request, 500, "web.fault", "", {})
    if is_full(error):
        log.error("web.disk_full", path=request.url.path, error=str(error).splitlines()[0])
        return _answer(request, 503, "web.disk_full", "", {"Retry-After": "30"})
    # One line without traceback: while the database is away, every request fails in the same way.
    log.error("web.part_away", path=request.url.path, error=(str(error) or type(error).__name__).splitlines()[0])
    return _answer(request, 503, "web.away", "", {"Retry-After": "5"})


def _is_away(error: SQLAlchemyError) -> bool:
    """Whether the database is away or too busy. False if a statement of ours is wrong."""
    if isinstance(error, OperationalError | InterfaceError | SqlTimeoutError | DatabaseHangs):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not isinstance(
            error, ProgrammingError | DataError | IntegrityError | NotSupportedError
        )
    return False


async def fault(request: Request, error: Exception) -> Response:
    """The answer to an unexpected error; it shows the number under which the error is logged."""
    log.error("web.fault", path=request.url.path, number=_number(request), error=repr(error))
    return _answer(request, 500, "web.fault", "", {})


def _number(request: Request) -> str:
    return str(getattr(request.state, "number", "-"))


def _for_program(request: Request) -> bool:
    return request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", "text/html,*/*")


def _answer(request: Request, status: int, code: str, detail: str, headers: Mapping[str, str]) -> Response:
    heading, advice = WORDS.get(status, WORDS[500] if status >= 500 else WORDS[400])
    if code == "web.disk_full":
        heading, advice = FULL
    if _for_program(request):
        return problem(status, code, detail or advice, headers=headers)
    if request.headers.get("hx-request") == "true" and request.headers.get("hx-request-type") != "full":
        response = toast(request, detail or f"{_(heading)}. {_(advice)}", tone="red", status=status)
        response.headers.update(headers)
        return response
    return render(
        request,
        "errors/page.html",
        status=status,
        headers=headers,
        code=status,
        heading=_(heading),
        detail=detail,
        advice=_(advice),
        number=_number(request) if status >= 500 else "",
        typed=_typed(request) if status >= 500 else [],
    )


def _typed(request: Request) -> list[tuple[str, str]]:
    """The fields of a form that could not be saved, so that it can be sent again; secrets are left out."""
    form: Form | None = getattr(request.state, "typed", None)
    if form is None or request.method != "POST":
        return []
    return [
        (name, value) for name, values in form.lists.items() if name not in SECRETS for value in values if value.strip()
    ][:200]
