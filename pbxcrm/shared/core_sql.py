"""Rows by their ids, for what is shown beside other rows; statements that are built once, and those that pass the ORM."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, Executable, Table, bindparam, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

Model = TypeVar("Model", bound=SQLModel)


async def load_by_id(session: AsyncSession, model: type[Model], ids: Iterable[int | None]) -> dict[int | None, Model]:
    """Rows of ``model`` by id; those the session has in hand are not asked for again."""
    in_hand, key = session.identity_map, inspect(model).identity_key_from_primary_key
    known = {id_: in_hand.get(key((id_,))) for id_ in set(ids) - {None}}
    found: dict[int | None, Model] = {id_: row for id_, row in known.items() if row is not None}
    if missing := known.keys() - found.keys():
        rows = await session.exec(_by_id(model), params={"ids": list(missing)})
        found.update((row.id, row) for row in rows.all())
    return found


def list_param(name: str) -> Any:
    """A parameter that is a list, for statements that are built once."""
    return bindparam(name, expanding=True)


async def fetch(
    session: AsyncSession, statement: Executable, params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
) -> Sequence[Any]:  # Rows
    """Columns past the ORM, which takes as long again: for what is asked with every fact. What is pending is not flushed."""
    return await session.run_sync(_ask, statement, params)


async def execute(session: AsyncSession, statement: Executable, params: Sequence[Mapping[str, Any]]) -> int:
    """Change rows past the ORM, which must not have them in hand; how many there were."""
    return await session.run_sync(_tell, statement, params) if params else 0


async def add_new(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *returning: str
) -> Sequence[Any]:
    """Insert those that are not there yet, past the ORM; the columns ``returning`` of these. No default is filled in by the model."""
    if not rows:
        return ()
    statement = _add_new(model, session.get_bind().dialect.name, returning)
    if returning:
        return await fetch(session, statement, rows)
    await execute(session, statement, rows)
    return ()


def _ask(session: Session, statement: Executable, params: Any) -> Sequence[Any]:
    return session.connection().execute(statement, params).all()


def _tell(session: Session, statement: Executable, params: Any) -> int:
    return session.connection().execute(statement, params).rowcount


@cache
def _add_new(model: type[SQLModel], dialect: str, returning: tuple[str, ...]) -> Executable:
    table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    add: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table).on_conflict_do_nothing()
    columns: list[Column[Any]] = [table.c[name] for name in returning]
    return add.returning(*columns) if columns else add  # type: ignore[no-any-return]


@cache
def _by_id(model: type[SQLModel]) -> Any:  # Select[model]
    """Built once a model: on a page of small questions that takes as long as asking them."""
    return select(model).where(col(model.id).in_(list_param("ids")))  # type: ignore[attr-defined]  # all have one
