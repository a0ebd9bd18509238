"""Locking a row until the transaction ends."""

from typing import TypeVar

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

Row = TypeVar("Row", bound=SQLModel)


async def lock_row(session: AsyncSession, table: type[Row], row_id: int) -> Row:
    """Lock and reload the row. It must exist, and access to it must be checked first.

    PostgreSQL waits here for a transaction that changes the row; then the row is reloaded, even when this session had loaded it.
    SQLite has only one writer. Inserting rows that reference this one does not wait for the lock.
    """
    await session.flush()  # otherwise reloading would discard this transaction's own changes
    return await session.get_one(table, row_id, with_for_update={"key_share": True}, populate_existing=True)
