"""Locking rows until the transaction ends."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, inspect
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

Row = TypeVar("Row", bound=SQLModel)


async def lock_row(session: AsyncSession, table: type[Row], row_id: int) -> Row:
    """Lock and reload the row. It must exist, and access to it must be checked first.

    PostgreSQL waits here for a transaction that changes the row; then the row is reloaded, even when this session had loaded it.
    SQLite has only one writer. Inserting rows that reference this one does not wait for the lock.
    """
    await session.flush()  # otherwise reloading would discard this transaction's own changes
    return await session.get_one(table, row_id, with_for_update={"key_share": True}, populate_existing=True)


async def lock_found(session: AsyncSession, table: type[Row], query: SelectOfScalar[Row]) -> Row | None:
    """Lock and reload the one row of ``table`` that the query finds, for example with a condition of access; None without one.

    PostgreSQL tests the condition again on the row as whoever changed it meanwhile has left it.
    """
    await session.flush()  # as above
    locked = query.with_for_update(key_share=True, of=table).execution_options(populate_existing=True)
    found: Row | None = (await session.exec(locked)).first()
    return found


async def lock_rows(session: AsyncSession, table: type[Row], *found: ColumnElement[bool]) -> Sequence[Row]:
    """Lock and reload all rows of ``table`` that the conditions find, in the order of their keys."""
    await session.flush()  # as above
    query = select(table).where(*found).order_by(*inspect(table).primary_key)
    locked = query.with_for_update(key_share=True, of=table).execution_options(populate_existing=True)
    rows: Sequence[Row] = (await session.exec(locked)).all()
    return rows
