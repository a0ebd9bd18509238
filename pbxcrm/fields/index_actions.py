"""The indexes on custom fields: one per field that people filter or sort by, made and dropped by the act that ticks it.

In a small table the index is made in the transaction of the act. In a big one the worker makes it: on PostgreSQL concurrently and beside
its other work, so that nobody waits; SQLite has one writer, which waits about a second per 300,000 rows.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.fields import value_sql
from pbxcrm.fields.models import TABLES, FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.rules import is_list, is_text
from pbxcrm.shared.background_jobs import BackgroundJob, start
from pbxcrm.shared.db import Database

JOB = "fields.index"
BIG = 20_000  # rows
#: What the names of these indexes begin with; migrations put them back after a table was copied (``pbxcrm.migrations``).
PREFIX = "ix_custom_"


def index_statements(definition: FieldDefinition, dialect: str) -> dict[str, str]:
    """The indexes that the field needs: name -> what follows ``ON`` in CREATE INDEX."""
    name, number = f"{PREFIX}{definition.id}", str(definition.id)
    table = TABLES[FieldEntity(definition.entity)]
    if is_list(definition):
        listed = value_sql.list_sql(dialect, "custom", number)
        filled = {f"{name}_filled": f"{table} (id) WHERE {listed} IS NOT NULL"}
        if definition.kind == ValueKind.FILE:
            return filled
        if dialect == "postgresql":
            return {name: f"{table} USING gin ({listed} jsonb_path_ops)", **filled}
        # SQLite indexes no list: one index per option, of the rows that have it.
        return filled | {
            f"{name}_{option['id']}": f"{table} (id) WHERE "
            + value_sql.has_id_sql(dialect, "custom", number, str(option["id"]))
            for option in definition.options
        }
    if is_text(definition):
        found = {name: f"{table} ({value_sql.text_sql(dialect, 'custom', f'{number}k')}, id)"}
        if definition.filterable:
            found[f"{name}_sort"] = f"{table} ({value_sql.text_sql(dialect, 'custom', f'{number}s')}, id)"
        return found
    if definition.kind in {ValueKind.DATE, ValueKind.MOMENT}:
        value = value_sql.text_sql(dialect, "custom", number)
    else:
        value = value_sql.integer_sql(dialect, "custom", number)
    return {name: f"{table} ({value}, id)"}


def wants_index(definition: FieldDefinition) -> bool:
    """Whether the field is filtered by, or compared with all others to be unique."""
    return (definition.filterable or definition.is_unique) and definition.archived_at is None


async def do_set_indexes(
    session: AsyncSession, definition: FieldDefinition, now: datetime, *, owner_id: int | None
) -> None:
    """Make the indexes that the field needs and has not, and drop those that it needs no longer."""
    wanted = index_statements(definition, _dialect(session)) if wants_index(definition) else {}
    known = await indexes_of(session, definition)
    for name in sorted(set(known) - set(wanted)):
        await session.exec(text(f"DROP INDEX {name}"))  # type: ignore[call-overload]
    missing = [name for name in wanted if name not in known]
    if not wanted:
        definition.indexed_at = None
    elif not missing:
        definition.indexed_at = definition.indexed_at or now
    elif known or not await _is_big(session, TABLES[FieldEntity(definition.entity)]):
        for name in missing:
            await session.exec(text(f"CREATE INDEX {name} ON {wanted[name]}"))  # type: ignore[call-overload]
        definition.indexed_at = now
    else:
        definition.indexed_at = None
        await start(session, JOB, {"field": definition.id}, now, total=len(wanted), owner_id=owner_id)


async def begin_indexes(db: Database, payload: Mapping[str, Any]) -> bool:
    """Before a batch: on PostgreSQL make the missing indexes of the field in a task of their own. False while one runs.

    CONCURRENTLY stands outside of every transaction, and it waits for those that have begun: also for that of a batch, and two of them on
    one table wait for each other for ever. Raises what the task raised.
    """
    if db.is_sqlite:
        return True
    field_id: int = payload["field"]
    task = _building.get(field_id)
    if task is None:
        if any(not each.done() for each in _building.values()):
            return False
        _building[field_id] = asyncio.create_task(_build_beside(db, field_id))
        return False
    if not task.done():
        return False
    del _building[field_id]
    task.result()
    return True


_building: dict[int, asyncio.Task[None]] = {}


async def _build_beside(db: Database, field_id: int) -> None:
    async with db.read() as session:
        definition = await session.get(FieldDefinition, field_id)
        if definition is None or not wants_index(definition):
            return
        wanted, known = index_statements(definition, "postgresql"), await indexes_of(session, definition)
    async with db.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        asked = text("SELECT pg_try_advisory_lock(hashtext(:key))")
        if not (await connection.execute(asked, {"key": JOB})).scalar_one():
            return  # another worker is at it
        try:
            for name, what in wanted.items():
                if name not in known:
                    await connection.execute(
                        text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
                    )  # of an interrupted attempt
                    await connection.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {what}"))
            # Else the planner knows nothing of the values.
            await connection.execute(text(f"ANALYZE {TABLES[FieldEntity(definition.entity)]}"))
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock_all()"))


async def build_indexes(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Work in the background: make one missing index of the field ``job.payload["field"]``, on PostgreSQL only see that all are there."""
    definition = await session.get(FieldDefinition, job.payload["field"])
    if definition is None or not wants_index(definition):
        return True
    wanted = index_statements(definition, _dialect(session))
    known = await indexes_of(session, definition)
    missing = [name for name in wanted if name not in known]
    if missing and _dialect(session) == "sqlite":
        await session.exec(text(f"CREATE INDEX {missing[0]} ON {wanted[missing[0]]}"))  # type: ignore[call-overload]
        missing = missing[1:]
    job.done = len(wanted) - len(missing)
    if missing:
        return False
    definition.indexed_at = now
    return True


async def indexes_of(session: AsyncSession, definition: FieldDefinition) -> Sequence[str]:
    """The names of the field's indexes that exist and are complete."""
    postgres = (
        "SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND i.indisvalid"
        " AND c.relname LIKE 'ix\\_custom\\_%'"
    )
    sqlite = "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'ix\\_custom\\_%' ESCAPE '\\'"
    found = await session.exec(text(postgres if _dialect(session) == "postgresql" else sqlite))  # type: ignore[call-overload]
    own = f"{PREFIX}{definition.id}"
    return [name for (name,) in found.all() if name == own or name.startswith(f"{own}_")]


async def progress_of(session: AsyncSession, definition: FieldDefinition) -> int | None:
    """Percent of the index that is being made just now; None where the database does not say."""
    if _dialect(session) != "postgresql":
        return None
    asked = text(
        "SELECT CASE WHEN p.blocks_total > 0 THEN 100 * p.blocks_done / p.blocks_total ELSE 0 END"
        " FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.index_relid WHERE c.relname LIKE :name"
    )
    found = (await session.exec(asked, params={"name": f"{PREFIX}{definition.id}%"})).first()  # type: ignore[call-overload]
    return None if found is None else int(found[0])


async def _is_big(session: AsyncSession, table: str) -> bool:
    found = await session.exec(text(f"SELECT 1 FROM {table} ORDER BY id LIMIT 1 OFFSET {BIG}"))  # type: ignore[call-overload]  # noqa: S608  # a name of ours
    return found.first() is not None


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name
