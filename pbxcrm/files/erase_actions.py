"""Deletes the files of a client who is erased."""

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.files.models import AttachedFile
from pbxcrm.shared.core_sql import one_of


async def erase_files(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. A worker deletes the bytes that no row needs; deals and tasks notify those who see them."""
    of_them = one_of(session, col(AttachedFile.id), erasing.held.files)
    await session.exec(delete(AttachedFile).where(of_them).execution_options(synchronize_session=False))
