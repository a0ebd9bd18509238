"""How far long work in the background is, asked by the page that began it until it is over."""

from starlette.requests import Request
from starlette.responses import Response

from web.jobs import access_job
from web.parts import parts, viewer
from web.rendering import render


async def progress(request: Request) -> Response:
    """``GET /jobs/12``: the line that says how far it is."""
    async with parts(request).db.read() as session:
        job = await access_job(session, viewer(request), request.path_params["job_id"])
    return render(request, "background/_progress.html", job=job)
