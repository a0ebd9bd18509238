"""Health checks for machines: liveness, readiness, metrics."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.upkeep import health
from pbxcrm.upkeep.health import Health
from web.api.problems import problem
from web.auth import viewer_by_token
from web.listed_networks import is_near
from web.parts import now, parts

STRANGERS_SECONDS = 2.0  # seconds; requests of strangers cause at most one database check in this time


async def healthz(_request: Request) -> Response:
    """``GET /healthz``: the process runs. It says nothing about database or Redis."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """``GET /readyz``: 200 if pages can be served and changes stored, else 503.

    Only the networks of ``metrics_networks`` and tokens also get the state of database, disk, Redis and each PBX.
    """
    if await _may_know(request):
        found = await _collect(request)
        said = health.as_json(found, now(request))
    else:
        found = await _lately(request)
        said = {"ready": found.ready}
    return JSONResponse(said, status_code=200 if found.ready else 503)


async def metrics(request: Request) -> Response:
    """``GET /metrics`` for Prometheus: for the networks of ``metrics_networks`` and for tokens."""
    if not await _may_know(request):
        detail = "Metrics are for the networks of PBXCRM_METRICS_NETWORKS, or with Authorization: Bearer TOKEN."
        return problem(403, "metrics.foreign", detail)
    found = await _collect(request)
    return Response(health.as_metrics(found, now(request)), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _may_know(request: Request) -> bool:
    if is_near(request, parts(request).settings.metrics_networks):
        return True
    asker = await viewer_by_token(request)
    return asker is not None and can(asker, Permission.STATUS_READ)


async def _collect(request: Request) -> Health:
    on = parts(request)
    return await health.collect(on.db, on.redis, now(request), on.settings.data_dir)


async def _lately(request: Request) -> Health:
    """The state, at most a moment old. Simultaneous requests share one check."""
    state, clock = request.app.state, asyncio.get_running_loop().time
    looked: tuple[float, asyncio.Task[Health]] | None = getattr(state, "looked", None)
    if looked is None or clock() - looked[0] > STRANGERS_SECONDS:
        looked = state.looked = (clock(), asyncio.create_task(_collect(request)))
    return await asyncio.shield(looked[1])
