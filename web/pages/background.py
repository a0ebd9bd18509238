"""The progress of a background job. The page that started the job asks for it until the job ends."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access.jobs import access_job
from web.parts import parts, viewer
from web.rendering import render


async def progress(request: Request) -> Response:
    """``GET /jobs/12``: the line with the progress."""
    async with parts(request).db.read() as session:
        job = await access_job(session, viewer(request), request.path_params["job_id"])
    return render(request, "background/_progress.html", job=job)
