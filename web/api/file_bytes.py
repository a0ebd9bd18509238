"""Files for programs: the only requests of the API that are a form, and answers that are not JSON."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pbxcrm.access import Permission
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import NotFound, PbxcrmError
from web import files
from web.api.problems import problem_of
from web.api.serving import PREFIX
from web.api.tokens import note_use
from web.api.v1.files import as_answer
from web.parts import parts
from web.routing import api

Handler = Callable[[Request], Awaitable[Response]]


def routes() -> list[Route]:
    """Sending a file for a deal or a task, and reading one."""
    return [
        api(
            f"{PREFIX}/deals/{{deal_id:int}}/files",
            _told(_add),
            needs=Permission.DEALS_EDIT,
            methods=("POST",),
            name="api_add_file_to_deal",
        ),
        api(
            f"{PREFIX}/tasks/{{task_id:int}}/files",
            _told(_add),
            needs=Permission.TASKS_EDIT,
            methods=("POST",),
            name="api_add_file_to_task",
        ),
        api(f"{PREFIX}/files/{{file_id:int}}", _told(_read), needs=Permission.TASKS_READ, name="api_read_file"),
    ]


def _told(run: Handler) -> Handler:
    async def serve(request: Request) -> Response:
        try:
            if any(not 1 <= each <= LARGEST_ID for each in request.path_params.values()):
                raise NotFound("api.not_found", "There is no such thing.")
            return await run(request)
        except PbxcrmError as error:
            return problem_of(error, frozenset({files.FIELD}))

    return serve


async def _add(request: Request) -> Response:
    await note_use(request)
    row = (await files.take_in(request, files.on_of(request), only_one=True))[0]
    async with parts(request).db.read() as session:
        logins = await logins_of(session, [row.by_id])
    said = as_answer(row, logins.get(row.by_id))
    return Response(said.model_dump_json(), 201, {"Location": f"{PREFIX}/files/{row.id}"}, "application/json")


async def _read(request: Request) -> Response:
    await note_use(request)
    return await files.give_out(request, request.path_params["file_id"])
