"""The recording of a call for programs. Pages use a route of their own."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pbxcrm.access import Permission
from pbxcrm.calls.queries import access_call
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import NotFound, PbxcrmError
from web import recordings
from web.api.problems import problem_of
from web.parts import parts, viewer
from web.routing import api


def routes() -> list[Route]:
    """The route of a call's recording, which answers with a sound file instead of JSON."""
    path = "/api/v1/calls/{call_id:int}/recording"
    return [api(path, read_recording, needs=Permission.RECORDINGS_LISTEN, name="api_read_recording")]


async def read_recording(request: Request) -> Response:
    """``GET /api/v1/calls/{call_id}/recording``: the sound file, whole or a range of it. The listening is logged in the audit log."""
    try:
        return await _recording(request)
    except PbxcrmError as error:
        return problem_of(error)


async def _recording(request: Request) -> Response:
    call_id: int = request.path_params["call_id"]
    if call_id > LARGEST_ID:
        raise NotFound("calls.not_found", "There is no such call, or it is a colleague's.")
    async with parts(request).db.read() as session:
        call = await access_call(session, viewer(request), call_id)
    found = await recordings.listen(request, call)
    return FileResponse(
        found.path, media_type=found.media_type, filename=found.path.name, headers=recordings.SOUND_HEADERS
    )
