"""Keeping a row to oneself until the transaction ends."""

from typing import TypeVar

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

Row = TypeVar("Row", bound=SQLModel)


async def lock_row(session: AsyncSession, table: type[Row], row_id: int) -> Row:
    """The row as it is once nobody else holds it. It must exist: look for it with permission first.

    PostgreSQL waits here for whoever changes the row, and it is read anew afterwards, also where this transaction had read it
    before. SQLite has one writer at a time anyway. Rows that only point at this one do not wait.
    """
    await session.flush()  # or what this transaction has changed itself would be read away
    return await session.get_one(table, row_id, with_for_update={"key_share": True}, populate_existing=True)
