"""Files for pages and the API: storing the files of a form, and sending stored files, always as a download.

The form's parser (``web/forms.py``) has put the bytes on the disk already where there are many; they are copied in pieces.
"""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse

from pbxcrm.files import actions
from pbxcrm.files.access import access_file
from pbxcrm.files.actions import On
from pbxcrm.files.kinds import PDF, SHOWN
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.rules import MB, none_sent
from pbxcrm.files.store import Store
from pbxcrm.shared.errors import Invalid, NotFound, Unavailable
from web.forms import read_files
from web.parts import now, parts, viewer

FIELD = "file"
# Its content can run nothing, load nothing and has no origin. Not compressed, because ranges of it can be requested.
HEADERS = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "cache-control": "private, no-store",
    "content-encoding": "identity",
}
# Browsers do not start their own viewer of PDFs inside a sandbox. It still loads nothing, and no page holds it in a frame.
PDF_HEADERS = HEADERS | {"content-security-policy": "default-src 'none'; object-src 'self'; frame-ancestors 'none'"}


def on_of(request: Request) -> On:
    """The deal or task that the address names."""
    return On(request.path_params.get("deal_id"), request.path_params.get("task_id"))


async def take_in(request: Request, on: On, *, only_one: bool = False) -> list[AttachedFile]:
    """All files of the form, or none of them. Raises Invalid at ``file``, NotAllowed, NotFound, Unavailable."""
    at = parts(request)
    async with at.db.read() as session:  # before any byte is stored
        await actions.check_may_attach(session, viewer(request), on)
    store, most = Store.of(at.settings), at.settings.files_max_mb * MB
    try:
        sent = await _sent(request)
        if not sent:
            raise none_sent()
        if only_one and len(sent) > 1:
            raise Invalid(FIELD, "files.one", "Send one file with each request.")
        kept = [(each.filename or "", await run_in_threadpool(store.keep, each.file, most)) for each in sent]
    finally:
        await request.close()  # deletes the temporary files of the parser
    async with at.db.write() as session:
        return [
            await actions.attach(
                session, viewer(request), on, name, one, now(request), total_gb=at.settings.files_total_gb
            )
            for name, one in kept
        ]


async def _sent(request: Request) -> list[UploadFile]:
    try:
        return await read_files(request, FIELD)
    except OSError as error:  # larger files lie in the folder for temporary files, which may be full
        why = error.strerror or str(error)
        raise Unavailable("files.disk", "The file could not be written: {why}.", why=why) from error


async def give_out(request: Request, file_id: int) -> FileResponse:
    """The file to be saved; a picture or a PDF is shown where the address says ``?show``. Raises NotFound."""
    async with parts(request).db.read() as session:
        file = await access_file(session, viewer(request), file_id)
    path = Store(parts(request).settings.data_dir).path(file.sha256)
    if not await run_in_threadpool(path.is_file):
        raise NotFound("files.lost", "The file is not on the server any more. Tell your administrator.")
    shown = file.content_type in SHOWN and "show" in request.query_params
    return FileResponse(
        path,
        media_type=file.content_type,
        filename=file.name,
        content_disposition_type="inline" if shown else "attachment",
        headers=PDF_HEADERS if shown and file.content_type == PDF else HEADERS,
    )
