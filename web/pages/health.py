"""What machines ask: is the process alive, can it serve, how is everything."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pbxcrm.upkeep import health
from web.parts import now, parts


async def healthz(_request: Request) -> Response:
    """The process runs; says nothing about what it depends on."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """200 when pages can be served, else 503; with the state of database, Redis and each PBX."""
    found = await health.collect(parts(request).db, parts(request).redis, now(request))
    return JSONResponse(health.as_json(found, now(request)), status_code=200 if found.ready else 503)


async def metrics(request: Request) -> Response:
    """For Prometheus."""
    found = await health.collect(parts(request).db, parts(request).redis, now(request))
    return Response(health.as_metrics(found, now(request)), media_type="text/plain; version=0.0.4; charset=utf-8")
