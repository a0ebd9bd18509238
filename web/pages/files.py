"""Files of a deal or a task: their list, attaching, removing with undo, and the file itself."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.deals.queries import access_deal
from pbxcrm.files.actions import On, put_back_file, remove_file
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.queries import list_files
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, PbxcrmError, Unavailable
from pbxcrm.tasks.queries import access_task
from web import files
from web.answers import redirect, toast, with_toast
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer


async def listed(request: Request) -> Response:
    """``GET /deals/{id}/files`` and ``/tasks/{id}/files``: the list with its form; a part of the page where that is asked for."""
    return await _page(request, files.on_of(request))


async def add(request: Request) -> Response:
    """``POST`` to the same address: files in the field ``file``. Our script gets the new list, or a sentence that says what is wrong."""
    on = files.on_of(request)
    try:
        await files.take_in(request, on)
    except (Invalid, Unavailable) as error:
        if _from_script(request):
            return PlainTextResponse(_said(error), error.status)
        return await _page(request, on, _said(error), error.status)
    if _from_script(request):
        return await _page(request, on)
    return redirect(request, _back(on), done="added")


async def file(request: Request) -> Response:
    """``GET /files/{id}``: the file as a download; with ``?show`` a picture or a PDF is shown in the browser."""
    return await files.give_out(request, request.path_params["file_id"])


async def remove(request: Request) -> Response:
    """``POST /files/{id}/remove``: the toast offers undo."""
    async with parts(request).db.write() as session:
        found = await remove_file(session, viewer(request), request.path_params["file_id"], now(request))
    if not _from_script(request):
        return redirect(request, _back(_on(found)), done="deleted")
    word = _("“{name}” was removed.").format(name=found.name)
    return with_toast(request, await _page(request, _on(found)), word, undo=f"/files/{found.id}/restore")


async def restore(request: Request) -> Response:
    """``POST /files/{id}/restore``: put a removed file back."""
    async with parts(request).db.write() as session:
        found = await put_back_file(session, viewer(request), request.path_params["file_id"], now(request))
    if not _from_script(request):
        return redirect(request, _back(_on(found)), done="saved")
    return toast(request, _("“{name}” is back.").format(name=found.name))


async def _page(request: Request, on: On, error: str = "", status: int = HTTPStatus.OK) -> HTMLResponse:
    who = viewer(request)
    async with parts(request).db.read() as session:
        if on.deal_id is not None:
            await access_deal(session, who, on.deal_id)
        else:
            await access_task(session, who, on.task_id or 0)
        return show(
            request,
            "files/page.html",
            fragment="files/_list.html",
            status=status,
            files=await list_files(session, who, deal_id=on.deal_id, task_id=on.task_id),
            files_on=on,
            may_attach=can(who, Permission.DEALS_EDIT if on.deal_id is not None else Permission.TASKS_EDIT),
            files_people=await load_directory(session),
            files_error=error,
            most_mb=parts(request).settings.files_max_mb,
        )


def _on(found: AttachedFile) -> On:
    return On(found.deal_id, found.task_id)


def _back(on: On) -> str:
    return f"/deals/{on.deal_id}" if on.deal_id is not None else f"/tasks/{on.task_id}"


def _from_script(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _said(error: PbxcrmError) -> str:
    return _(error.message).format(**error.params)
