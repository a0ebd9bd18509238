"""The declaration of a route: how its caller is authenticated, and which permission is needed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission

Handler = Callable[[Request], Awaitable[Response]]


class Door(Enum):
    """How the caller of a route is authenticated."""

    SESSION = "session"  # the cookie of a browser; changes must come from our own pages
    TOKEN = "token"  # noqa: S105 (a kind of door, not a secret): Authorization: Bearer
    OPEN = "open"  # anybody
    OUTSIDE = (
        "outside"  # pages and programs of other sites; cookies are ignored, and the handler asks which sites it serves
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """``needs`` is None for routes that any logged-in person may use (own profile, live stream)."""

    door: Door
    needs: Permission | None
