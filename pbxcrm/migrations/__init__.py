"""The migrations of the database schema (Alembic), shipped inside the package.

``upgrade`` brings a database to the schema that this code needs; ``check`` refuses one with another schema. Both use the
asynchronous engine, because we install no other driver for PostgreSQL. Every process checks but only one upgrades, so Alembic,
which takes 15 MB, is imported only there.
"""

import re
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, TypeDecorator, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlmodel.sql.sqltypes import AutoString

from pbxcrm.migrations.sqlite_trigrams import are_kept, keep_indexes
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.shared.trigrams import ENDING
from pbxcrm.tables import metadata

FOLDER = Path(__file__).parent
_STEP = re.compile(r'^revision = "(\w+)"\ndown_revision = (?:"(\w+)"|None)$', re.MULTILINE)
_UPGRADE_LOCK = 7_210_101  # the key of an advisory lock on PostgreSQL: two machines may start at the same time


async def upgrade(url: str) -> tuple[str | None, str | None]:
    """Upgrade the database at ``url`` to the newest revision. Returns the revisions (before, after).

    Everything runs in one transaction, so a migration that fails leaves the database unchanged.
    Raises Unavailable when it cannot be reached, BadSettings when a newer pbxcrm has upgraded it.
    """
    database = Database(url, pool_size=1)
    if database.is_sqlite:
        event.listen(database.engine.sync_engine, "connect", _without_foreign_keys)
    try:
        async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
            if not database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            before = await connection.run_sync(_revision)
            check_known(before)
            set_aside = await connection.run_sync(_set_indexes_aside) if before != newest() else []
            await connection.run_sync(_upgrade)
            for statement in set_aside:
                await connection.exec_driver_sql(statement)
            await connection.run_sync(keep_indexes)
            return before, await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        raise unreachable(error) from error
    finally:
        await database.close()


async def known_revision(database: Database) -> str | None:
    """The revision of the database, None for an empty one. Raises BadSettings for one that only a newer pbxcrm knows, Unavailable
    when it cannot be reached.
    """
    try:
        async with database.engine.connect() as connection:
            found = await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        raise unreachable(error) from error
    check_known(found)
    return found


async def tables_of(database: Database) -> list[str]:
    """The names of the tables in the database, sorted."""
    async with database.engine.connect() as connection:
        return sorted(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def check(database: Database) -> None:
    """Raises BadSettings when the schema of the database is not the one this code needs, Unavailable when it cannot be reached."""
    found = await known_revision(database)
    if found != newest():
        raise BadSettings(
            "database.old",
            "The database is not upgraded yet (it is at {found}, this version needs {needed}). Run: pbxcrm db upgrade",
            found=found or "nothing",
            needed=newest() or "nothing",
        )
    if database.is_sqlite and not await _has_its_indexes(database):
        raise BadSettings(
            "database.no_trigrams",
            "The indexes for searches do not suit the SQLite of this machine. Run: pbxcrm db upgrade",
        )


async def _has_its_indexes(database: Database) -> bool:
    async with database.engine.connect() as connection:
        return await connection.run_sync(are_kept)


def comparing() -> dict[str, Any]:
    """The options with which Alembic compares a database with the models and renders the differences."""
    return {
        "target_metadata": metadata,
        "compare_type": True,
        "render_item": _render_plainly,
        "include_object": is_modelled,
    }


def is_modelled(_item: object, name: str | None, kind: str, _is_in_database: bool, _other: object) -> bool:
    """Whether the models say it: the indexes by trigrams stand only in the database, on SQLite as tables of FTS5."""
    return not (kind in {"index", "table"} and name is not None and ENDING in name)


def _render_plainly(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Render our own column types as the plain database types, so that a migration does not depend on later code."""
    if kind == "type" and isinstance(item, TypeDecorator) and type(item).__module__.startswith("pbxcrm."):
        return f"sa.{item.impl_instance!r}"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def unreachable(error: Exception) -> Unavailable:
    """The error to show instead of the driver's traceback. It never contains the password."""
    why = str(getattr(error, "orig", None) or error).splitlines()[0]
    return Unavailable("database.unreachable", "The database cannot be reached: {why}", why=why)


def newest() -> str:
    """The newest revision, to which ``upgrade`` upgrades."""
    steps = _steps()
    (head,) = steps.keys() - steps.values()
    return head


def _steps() -> dict[str, str | None]:
    """Each revision and its predecessor, read from the files without importing them."""
    steps: dict[str, str | None] = {}
    for path in (FOLDER / "versions").glob("[0-9]*.py"):
        if found := _STEP.search(path.read_text(encoding="utf-8")):
            steps[found[1]] = found[2]
    return steps


def check_known(revision: str | None) -> None:
    """Raises BadSettings for a revision that only a newer pbxcrm knows."""
    if revision and revision not in _steps():
        raise BadSettings(
            "database.newer",
            "The database was made by a newer pbxcrm (its revision {found} is unknown here). Upgrade pbxcrm first.",
            found=revision,
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _set_indexes_aside(connection: Connection) -> list[str]:
    """Drop the indexes on custom fields and return the statements that make them again.

    On SQLite a table is altered by copying it, and Alembic cannot copy an index on an expression. PostgreSQL keeps them.
    """
    if connection.dialect.name != "sqlite":
        return []
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name GLOB 'ix_custom_*'"
    found = connection.exec_driver_sql(asked).all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    return [statement for _, statement in found]


def _without_foreign_keys(connection: Any, _record: object) -> None:  # a DB-API connection
    # On SQLite a table is altered by copying it and dropping the old one. With foreign keys on, that would delete referencing rows.
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()
