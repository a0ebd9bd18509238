"""Whose files one sees and changes: those of the deals and tasks one sees and changes."""

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.access.owners import there_is
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.files.models import AttachedFile
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task


@kept
def visible_files(viewer: Viewer) -> ColumnElement[bool]:
    """A condition that is tested for each file: its deal or its task is visible."""
    return or_(
        there_is(AttachedFile, col(Deal.id) == col(AttachedFile.deal_id), visible_deals(viewer)),
        there_is(AttachedFile, col(Task.id) == col(AttachedFile.task_id), visible_tasks(viewer)),
    )


async def access_file(
    session: AsyncSession, viewer: Viewer, file_id: int, *, removed: bool | None = False
) -> AttachedFile:
    """The file, if the viewer may see it; ``removed`` True: one that was removed, None: either. Raises NotFound."""
    query = select(AttachedFile).where(AttachedFile.id == file_id, visible_files(viewer))
    if removed is not None:
        gone = col(AttachedFile.removed_at)
        query = query.where(gone.is_not(None) if removed else gone.is_(None))
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound("files.not_found", "There is no such file any more, or it is on a colleague's deal or task.")
    return found
