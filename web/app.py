"""Builds the web application from its parts. There is no global state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.shared.wording import register_words
from web.hosts import OnlyOurNames
from web.i18n import word_in
from web.live import Hub
from web.middleware import SecurityHeaders, WhoAndWhen
from web.parts import Parts
from web.problems import handlers
from web.routes import COUNTERS, all_routes, prepare
from web.routing import rule_of
from web.static_files import StaticTree
from web.templating import Templates

MAX_BODY = 32 * 1024 * 1024  # a photo or a spreadsheet; recordings are never uploaded here


def utc_now() -> datetime:
    """The clock of the application; tests give another one."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    db: Database,
    redis: Redis,
    *,
    clock: Callable[[], datetime] = utc_now,
    more_routes: Sequence[Route] = (),
) -> Starlette:
    """The application. Raises UndeclaredRoute for a route that does not say who may use it.

    ``more_routes`` are for tests. The caller opens and closes ``db`` and ``redis``.
    """
    register_words(word_in)
    static = StaticTree()
    parts = Parts(settings, db, redis, clock, static, Templates(static), Hub(redis))
    routes = [*all_routes(static), *more_routes]
    for route in routes:
        rule_of(route)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        hearing = asyncio.create_task(parts.hub.run(), name="live hub")
        try:
            yield
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing

    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(OnlyOurNames, settings=settings),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6),
            Middleware(WhoAndWhen, parts=parts),
        ],
        exception_handlers=handlers(),
        lifespan=lifespan,
        max_body_size=MAX_BODY,
    )
    app.router.redirect_slashes = False  # one address per page
    app.state.parts = parts
    app.state.served = frozenset(route.path for route in routes)
    parts.templates.env.globals["served"] = app.state.served
    app.state.counters = COUNTERS
    prepare(parts)
    return app
