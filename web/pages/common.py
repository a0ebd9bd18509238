"""Shared by the pages of calls, deals, tasks and clients: addresses that keep filters, cursors, choices of people."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.access import Permission, Viewer, answers_for, may, sees_others
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.people.queries import active_users
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import LONGEST_SEARCH
from web.cursors import read_time
from web.forms import Form
from web.i18n import here
from web.rendering import render
from web.untrusted import query_of, whole_number

LISTED = 50  # rows of a list loaded at once
PERIODS = ("today", "yesterday", "week", "month")


def show(
    request: Request,
    page: str,
    *,
    fragment: str | None = None,
    status: int = 200,
    **context: Any,  # template contexts are of any shape
) -> HTMLResponse:
    """``render``; its templates can build addresses that keep the filters."""
    return render(request, page, fragment=fragment, status=status, address=_addresses(request), **context)


def address(request: Request, path: str = "", /, **changes: str | int | None) -> str:
    """The address of this page with some filters changed; None or empty removes one. A changed filter drops the cursor."""
    kept = {name: value for name, value in request.query_params.items() if name not in {"cursor", "after"}}
    for name, value in changes.items():
        kept.pop(name, None)
        if value not in {None, ""}:
            kept[name] = str(value)
    path = path or request.url.path
    return f"{path}?{urlencode(kept)}" if kept else path


def _addresses(request: Request) -> Any:  # a function for templates, whose arguments are of any shape
    return lambda path="", /, **changes: address(request, path, **changes)


def asked_text(request: Request, name: str = "q") -> str:
    """A value of the query string, stripped and cut to the longest search text; empty if it is missing."""
    return request.query_params.get(name, "").replace("\x00", "").strip()[:LONGEST_SEARCH]


def asked_number(request: Request, name: str) -> int | None:
    """A whole number of the query string; None if it is missing or malformed."""
    return query_number({name: [request.query_params.get(name, "")]}, name)


def asked_id(request: Request, name: str) -> int | None:
    """A row id of the query string; None if it is missing. Raises NotFound for a text that is no id."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    found = query_number({name: [text]}, name)
    if not found:
        raise NotFound("web.no_row", "There is no such thing, or it is a colleague's.")
    return found


def page_query(request: Request) -> dict[str, list[str]]:
    """The filters of the page: of the address itself, or of the page from which the action was sent."""
    if request.method == "GET":
        return query_of(f"?{request.url.query}")
    return query_of(request.headers.get("hx-current-url", ""))


def query_number(asked: Mapping[str, list[str]], name: str) -> int | None:
    """A whole number of ``page_query``; None if it is missing or malformed."""
    return whole_number((asked.get(name) or [""])[0])


def asked_cursor(request: Request) -> tuple[datetime, int] | None:
    """The cursor in the query string; None at the beginning of the list or if it is malformed."""
    return read_time(request.query_params.get("cursor", ""))


def today() -> date:
    """The current date in the time zone of the pages: the meaning of "today" in every figure and the list behind it."""
    return here().now.astimezone(here().timezone).date()


def period(name: str) -> tuple[datetime | None, datetime | None]:
    """Begin and end (exclusive) of a period of ``PERIODS`` in the reader's time zone, as aware UTC."""
    local = here().now.astimezone(here().timezone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "today": midnight,
        "yesterday": midnight - timedelta(days=1),
        "week": midnight - timedelta(days=6),
        "month": midnight - timedelta(days=29),
    }
    start = starts.get(name)
    until = midnight if name == "yesterday" else None
    return (start.astimezone(UTC) if start else None, until.astimezone(UTC) if until else None)


async def colleagues(session: AsyncSession, viewer: Viewer) -> list[User]:
    """The people to whom the viewer may assign work, the viewer first."""
    users = [user for user in await active_users(session, viewer) if may(user.role, Permission.TASKS_EDIT)]
    return sorted(users, key=lambda user: user.id != viewer.user_id)


async def whose_rows(session: AsyncSession, viewer: Viewer) -> list[User]:
    """The people by whom lists are filtered: those whose rows the viewer sees, the viewer first; empty for who sees only their own."""
    if not sees_others(viewer):
        return []
    directory = await load_directory(session)
    return [each for each in await colleagues(session, viewer) if answers_for(viewer, each.id, directory)]


def choices(rows: Iterable[Any], empty: str | None = None) -> list[tuple[str, str]]:
    """Options of a select from rows with ``id`` and ``name``; ``empty`` is the label of the empty choice."""
    return ([("", empty)] if empty is not None else []) + [(str(row.id), row.name) for row in rows]


def version_of(form: Form) -> int:
    """The version that the form was filled in for. Raises Invalid if it is missing, so that nothing is overwritten blindly."""
    found = form.number("version")
    if found is None:
        raise Invalid("", "form.version", "The form is incomplete. Reload the page and try again.")
    return found


def ends_of_day_and_week() -> tuple[datetime, datetime]:
    """The end of the reader's day and of their week, aware UTC."""
    local = here().now.astimezone(here().timezone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        (midnight + timedelta(days=1)).astimezone(UTC),
        (midnight + timedelta(days=7 - local.weekday())).astimezone(UTC),
    )
