"""What a handler finds in its request: the parts of the application, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis.asyncio import Redis
from starlette.requests import Request

from pbxcrm.access import Viewer
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from web.live import Hub
from web.static_files import StaticTree
from web.templating import Templates


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the application, made once by ``web.app.create_app``. ``clock`` returns aware UTC; tests pass their own."""

    settings: Settings
    db: Database
    redis: Redis
    clock: Callable[[], datetime]
    static: StaticTree
    templates: Templates
    hub: Hub


def parts(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    return cast("Parts", request.app.state.parts)


def viewer(request: Request) -> Viewer:
    """The person who asks. Call it only behind ``page()`` and ``api()`` routes, where somebody is always logged in."""
    return cast("Viewer", request.state.viewer)


def now(request: Request) -> datetime:
    """The time of the request, aware UTC: one value for everything that the request does."""
    return cast("datetime", request.state.now)


def home(request: Request) -> str:
    """The address of our pages, without a slash at its end: the one that is set, else as the asker reached us."""
    return (parts(request).settings.public_url or str(request.base_url)).rstrip("/")


def wants_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of a page, not for a page to put in place of the whole body."""
    headers = request.headers
    return (
        headers.get("hx-request") == "true"
        and headers.get("hx-request-type") != "full"
        and headers.get("hx-boosted") != "true"
        and headers.get("hx-history-restore-request") != "true"
    )
