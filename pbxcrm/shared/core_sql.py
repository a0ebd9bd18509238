"""Loading rows by id, and running statements through SQLAlchemy Core instead of the ORM."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Executable,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    false,
    func,
    insert,
    inspect,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

Model = TypeVar("Model", bound=SQLModel)


async def load_by_id(session: AsyncSession, model: type[Model], ids: Iterable[int | None]) -> dict[int | None, Model]:
    """Rows of ``model`` by id; rows that the session has already loaded are not read again."""
    in_hand, key = session.identity_map, inspect(model).identity_key_from_primary_key
    known = {id_: in_hand.get(key((id_,))) for id_ in set(ids) - {None}}
    found: dict[int | None, Model] = {id_: row for id_, row in known.items() if row is not None}
    if missing := known.keys() - found.keys():
        rows = await session.exec(_by_id(model), params={"ids": list(missing)})
        found.update((row.id, row) for row in rows.all())
    return found


def list_param(name: str) -> Any:
    """A bind parameter that takes a list, for statements that are built once and reused."""
    return bindparam(name, expanding=True)


def one_of(session: AsyncSession, column: Any, values: Sequence[int] | Sequence[str]) -> ColumnElement[bool]:
    """The condition that ``column`` is one of many ``values``, with one parameter for all of them: a list of thousands takes
    longer to send and plan than to find.
    """
    if not values:
        return false()
    if session.get_bind().dialect.name == "sqlite":
        found = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(found.c.value))  # type: ignore[no-any-return]
    kind = ARRAY(Text if isinstance(values[0], str) else BigInteger)
    return column == any_(cast(literal(list(values), kind), kind))  # type: ignore[no-any-return]


class AmongIds(FunctionElement[bool]):
    """The condition that a column is one of the ids of a query, which are gathered first and then looked up in an index of the column.

    For ``IN (SELECT …)`` PostgreSQL looks up one after the other in a join, or tests each row of the table.
    """

    name = "among_ids"
    type = Boolean()
    inherit_cache = True

    def __init__(self, column: Any, ids: Select[Any]) -> None:
        super().__init__(column, ids.scalar_subquery())


@compiles(AmongIds)
def _as_in(element: AmongIds, compiler: Any, **how: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **how)} IN {compiler.process(ids, **how)}"


@compiles(AmongIds, "postgresql")
def _as_array(element: AmongIds, compiler: Any, **how: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **how)} = ANY (ARRAY{compiler.process(ids, **how)})"


async def fetch(
    session: AsyncSession, statement: Executable, params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
) -> Sequence[Any]:  # Rows
    """Fetch rows through Core, in half the time of the ORM; used for every fact. Does not flush pending changes."""
    return await session.run_sync(_ask, statement, params)


async def counted(session: AsyncSession, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
    """The one number that a statement counts, through Core."""
    return int((await fetch(session, statement, params))[0][0])


async def execute(session: AsyncSession, statement: Executable, params: Sequence[Mapping[str, Any]]) -> int:
    """Execute through Core; returns the row count, 0 without ``params``. The session must not have loaded the affected rows."""
    return await session.run_sync(_tell, statement, params) if params else 0


async def add_rows(session: AsyncSession, *rows: SQLModel) -> None:
    """Insert new rows of models and set their ids, without a flush of the session.

    A flush would also write all other pending changes: in a batch of facts, the same calls repeatedly. Rows of one model are
    inserted in one statement, through Core: a flush takes three times as long. What listens to an insert is called as by a flush.
    """
    await session.run_sync(_insert, rows)


def _insert(session: Session, rows: Sequence[SQLModel]) -> None:
    connection = session.connection()
    for model, some in groupby(rows, type):
        new = list(some)
        mapper, names, statement = _insertion(model)
        for row in new:
            mapper.dispatch.before_insert(mapper, connection, inspect(row))
        values = [{name: getattr(row, name) for name in names} for row in new]
        for row, (id_,) in zip(new, connection.execute(statement, values), strict=True):
            set_committed_value(row, "id", id_)
            mapper.dispatch.after_insert(mapper, connection, inspect(row))
            make_transient_to_detached(row)
    session.add_all(rows)


@cache
def _insertion(model: type[SQLModel]) -> tuple[Mapper[Any], tuple[str, ...], Executable]:
    """The mapper of a model whose key is an ``id`` of the database, the names of its other columns, and the insert."""
    table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    names = tuple(column.name for column in table.c if column.name != "id")
    return inspect(model), names, insert(table).returning(table.c.id, sort_by_parameter_order=True)


async def add_new(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *returning: str
) -> Sequence[Any]:
    """Insert the rows that do not exist yet, through Core. Returns the columns ``returning`` of the inserted rows.

    Python defaults of the model are not applied.
    """
    if not rows:
        return ()
    statement = _add_new(model, session.get_bind().dialect.name, returning)
    if returning:
        return await fetch(session, statement, rows)
    await execute(session, statement, rows)
    return ()


async def add_and_keep(
    session: AsyncSession, model: type[Model], rows: Sequence[Mapping[str, Any]], *key: str
) -> list[Model]:
    """Insert the rows that do not exist yet, and return those as rows that the session has loaded: nothing is read again.

    ``key``: the columns that tell them apart. What ``rows`` leave out must be NULL for the database and the model.
    """
    said = {tuple(row[name] for name in key): row for row in rows}
    made: list[Model] = []
    for id_, *name in await add_new(session, model, rows, "id", *key):
        row = model(**said[tuple(name)])
        set_committed_value(row, "id", id_)
        make_transient_to_detached(row)
        made.append(row)
    session.add_all(made)
    return made


def _ask(session: Session, statement: Executable, params: Any) -> Sequence[Any]:
    return session.connection().execute(statement, params).all()


def _tell(session: Session, statement: Executable, params: Any) -> int:
    return session.connection().execute(statement, params).rowcount


async def set_row(session: AsyncSession, model: type[SQLModel], row: Mapping[str, Any], key: str) -> None:
    """Insert a row or update the one with the same value of the column ``key`` (an upsert through Core).

    Rows that the session has loaded are not refreshed.
    """
    await execute(session, _set_row(model, session.get_bind().dialect.name, tuple(row), key), [row])


def insert_into(table: Table, dialect: str) -> Any:
    """The dialect's own ``INSERT``, which can say what to do with a row that is there. Only the dialect in use is imported: each takes 2 MB in each process."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@cache
def _set_row(model: type[SQLModel], dialect: str, columns: tuple[str, ...], key: str) -> Executable:
    table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    add = insert_into(table, dialect)
    changed = {name: add.excluded[name] for name in columns if name != key}
    return add.on_conflict_do_update(index_elements=[key], set_=changed)  # type: ignore[no-any-return]


def insert_new(model: type[SQLModel], dialect: str) -> Executable:
    """The statement that inserts rows that do not exist yet, for events of the ORM."""
    return _add_new(model, dialect, ())


@cache
def _add_new(model: type[SQLModel], dialect: str, returning: tuple[str, ...]) -> Executable:
    table: Table = SQLModel.metadata.tables[str(model.__tablename__)]
    add = insert_into(table, dialect).on_conflict_do_nothing()
    columns: list[Column[Any]] = [table.c[name] for name in returning]
    return add.returning(*columns) if columns else add  # type: ignore[no-any-return]


@cache
def _by_id(model: type[SQLModel]) -> Any:  # Select[model]
    """Built once per model, because building a statement takes as long as executing a small one."""
    return select(model).where(col(model.id).in_(list_param("ids")))  # type: ignore[attr-defined]  # all have one
