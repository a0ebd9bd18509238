"""How a route says whom it is for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission

Handler = Callable[[Request], Awaitable[Response]]


class Door(Enum):
    """How who asks is recognised."""

    SESSION = "session"  # the cookie of a browser; changes must come from our own pages
    TOKEN = "token"  # noqa: S105 (a kind of door, not a secret): Authorization: Bearer
    OPEN = "open"  # anybody


@dataclass(frozen=True, slots=True)
class Rule:
    """``needs`` is None where any person who is logged in may come (own profile, live stream)."""

    door: Door
    needs: Permission | None
