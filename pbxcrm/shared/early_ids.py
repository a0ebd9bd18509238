"""Rows whose ids are known before they are written, so that those of a transaction are written together by the next flush."""

from sqlalchemy import bindparam, func, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.core_sql import add_rows, fetch

AT_ONCE = 20  # ids that are taken from the database together; those that are left over are never used
_EARLY = "early_ids"  # key in ``session.info``: ids by model

_NEXT = select(func.nextval(func.pg_get_serial_sequence(bindparam("named"), "id"))).select_from(
    func.generate_series(1, AT_ONCE)
)


async def add_soon(session: AsyncSession, row: SQLModel) -> None:
    """Add a new row of a model whose key is an ``id`` of the database, and set its id. SQLite, which has no sequences, writes it now.

    What reads such rows in this transaction through Core must flush before.
    """
    if session.get_bind().dialect.name != "postgresql":
        await add_rows(session, row)
        return
    ids: list[int] = session.info.setdefault(_EARLY, {}).setdefault(type(row), [])
    if not ids:
        ids += (found for (found,) in reversed(await fetch(session, _NEXT, {"named": str(row.__tablename__)})))
    row.id = ids.pop()
    session.add(row)
