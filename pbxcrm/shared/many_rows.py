"""Inserting many rows at once. PostgreSQL gets one list per column and executes one statement, whatever the number of rows.

A statement per row (``executemany``) costs it several times as much, and one with a parameter per value is another statement for each
number of rows, which has to be parsed and planned anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Dialect, Executable, Table, insert, text
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.core_sql import execute, fetch


async def add_many(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *returning: str
) -> Sequence[Any]:
    """Insert rows that all have the same columns, through Core. Returns the columns ``returning`` of the rows, in any order.

    Python defaults of the model are not applied. Pending changes are not flushed.
    """
    if not rows:
        return ()
    table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    dialect = session.get_bind().dialect
    made = _lists if dialect.name == "postgresql" else _rows
    statement, convert = made(dialect, table, tuple(rows[0]), returning)
    values = [convert(rows)] if convert is not None else rows
    if returning:
        return await fetch(session, statement, values[0] if convert is not None else values)
    await execute(session, statement, values)
    return ()


Convert = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


@lru_cache(maxsize=64)
def _rows(
    _dialect: Dialect, table: Table, _names: tuple[str, ...], returning: tuple[str, ...]
) -> tuple[Executable, None]:
    add = insert(table)
    return (add.returning(*(table.c[name] for name in returning)) if returning else add), None


@lru_cache(maxsize=64)
def _lists(
    dialect: Dialect, table: Table, names: tuple[str, ...], returning: tuple[str, ...]
) -> tuple[Executable, Convert]:
    """The statement, whose text is the same for any number of rows, and what makes its parameters of them."""
    lists, read, columns = [], [], []
    for name in names:
        kind = table.c[name].type
        stored = kind.compile(dialect=dialect)
        # A cast to VARCHAR(64) would cut what is too long. The insert refuses it.
        given = "TEXT" if stored.startswith("VARCHAR") or isinstance(kind, JSON) else stored
        lists.append(f"CAST(:{name} AS {given}[])")
        read.append(f"CAST({name} AS JSON)" if isinstance(kind, JSON) else name)
        columns.append(_Column(name, kind.dialect_impl(dialect).bind_processor(dialect)))
    told = ", ".join(names)
    # All names are those of our own columns.
    said = f"INSERT INTO {table.name} ({told}) SELECT {', '.join(read)} FROM unnest({', '.join(lists)}) AS new ({told})"  # noqa: S608
    if returning:
        said += f" RETURNING {', '.join(returning)}"
    return text(said), lambda rows: {each.name: each.values(rows) for each in columns}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    convert: Callable[[Any], Any] | None  # as the driver takes it

    def values(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        values = [row[self.name] for row in rows]
        if self.convert is None:
            return values
        # By its address, because rows often share an object, whose conversion (to JSON) takes longer than writing it.
        known = {id(value): self.convert(value) for value in {id(value): value for value in values}.values()}
        return [known[id(value)] for value in values]
