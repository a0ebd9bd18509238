"""Files on deals and tasks. What carries bytes in and out is in ``web/api/file_bytes.py``."""

from collections.abc import Sequence

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.queries import access_deal
from pbxcrm.files.actions import put_back_file, remove_file
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.queries import list_files
from pbxcrm.people.queries import logins_of
from pbxcrm.tasks.queries import access_task
from web.api.fields import ApiAnswer, Moment, ShortListQuery
from web.api.resource import Ask, Page, Resource

files = Resource("files", "Files that people attach to deals and tasks.")


class FileOut(ApiAnswer):
    """A file; its bytes are at `GET /files/{file_id}`."""

    id: int
    deal_id: int | None
    task_id: int | None
    name: str
    size: int = Field(description="Bytes.")
    content_type: str = Field(description="Found in its content.")
    sha256: str
    by: str | None = Field(description="A login.")
    at: Moment


@files.get("/deals/{deal_id}/files", needs=Permission.DEALS_READ, summary="The files of a deal, newest first")
async def read_files_of_deal(ask: Ask, deal_id: int, query: ShortListQuery) -> Page[FileOut]:
    await access_deal(ask.session, ask.viewer, deal_id)
    rows = await list_files(ask.session, ask.viewer, deal_id=deal_id)
    return Page[FileOut].part_of(await _told(ask, rows), query)


@files.get("/tasks/{task_id}/files", needs=Permission.TASKS_READ, summary="The files of a task, newest first")
async def read_files_of_task(ask: Ask, task_id: int, query: ShortListQuery) -> Page[FileOut]:
    await access_task(ask.session, ask.viewer, task_id)
    rows = await list_files(ask.session, ask.viewer, task_id=task_id)
    return Page[FileOut].part_of(await _told(ask, rows), query)


@files.delete("/files/{file_id}", needs=Permission.TASKS_EDIT, summary="Remove a file")
async def delete_file(ask: Ask, file_id: int) -> None:
    """It can be put back."""
    await remove_file(ask.session, ask.viewer, file_id, ask.now)


@files.post("/files/{file_id}/restore", needs=Permission.TASKS_EDIT, summary="Put a removed file back", status=200)
async def restore_file(ask: Ask, file_id: int) -> FileOut:
    return (await _told(ask, [await put_back_file(ask.session, ask.viewer, file_id, ask.now)]))[0]


async def _told(ask: Ask, rows: Sequence[AttachedFile]) -> list[FileOut]:
    logins = await logins_of(ask.session, [row.by_id for row in rows])
    return [as_answer(row, logins.get(row.by_id)) for row in rows]


def as_answer(row: AttachedFile, login: str | None) -> FileOut:
    """The file as an answer of the API; ``login``: who attached it."""
    return FileOut(
        id=row.id or 0,
        deal_id=row.deal_id,
        task_id=row.task_id,
        name=row.name,
        size=row.size,
        content_type=row.content_type,
        sha256=row.sha256,
        by=login,
        at=row.at,
    )
