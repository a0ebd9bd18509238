"""Queries for files."""

from collections.abc import Collection

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.files.access import visible_files
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.store import Store


async def list_files(
    session: AsyncSession, viewer: Viewer, *, deal_id: int | None = None, task_id: int | None = None
) -> list[AttachedFile]:
    """The files of a deal or a task that were not removed, newest first."""
    own = AttachedFile.deal_id == deal_id if deal_id is not None else AttachedFile.task_id == task_id
    query = select(AttachedFile).where(own, col(AttachedFile.removed_at).is_(None), visible_files(viewer))
    return list((await session.exec(query.order_by(col(AttachedFile.id).desc()))).all())


async def has_files(session: AsyncSession, deal_id: int, wanted: int) -> bool:
    """Whether a deal has at least so many files: a stage may ask for them."""
    query = select(func.count()).select_from(AttachedFile)
    found = await session.exec(query.where(AttachedFile.deal_id == deal_id, col(AttachedFile.removed_at).is_(None)))
    return found.one() >= wanted


async def names_of_files(session: AsyncSession, viewer: Viewer, ids: Collection[int]) -> dict[int, str]:
    """The names of those files that the viewer sees and nobody removed, by id, in one query."""
    query = select(AttachedFile.id, AttachedFile.name).where(col(AttachedFile.id).in_(ids))
    found = await session.exec(query.where(col(AttachedFile.removed_at).is_(None), visible_files(viewer)))
    return {file_id or 0: name for file_id, name in found.all()}


async def stored_bytes(session: AsyncSession) -> int:
    """The bytes that all files together take, including removed files that can be put back."""
    return int((await session.exec(select(func.coalesce(func.sum(AttachedFile.size), 0)))).one())


async def needed_hashes(session: AsyncSession) -> Collection[str]:
    """The hashes of all rows, including removed files."""
    return set((await session.exec(select(AttachedFile.sha256).distinct())).all())


async def missing_files(session: AsyncSession, store: Store) -> list[AttachedFile]:
    """Rows whose bytes are missing in the store or incomplete."""
    rows = (await session.exec(select(AttachedFile).order_by(col(AttachedFile.id)))).all()
    return [row for row in rows if not _is_whole(store, row)]


def _is_whole(store: Store, row: AttachedFile) -> bool:
    try:
        return store.path(row.sha256).stat().st_size == row.size
    except OSError:
        return False
