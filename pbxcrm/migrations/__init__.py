"""The shape of the database and its steps from version to version (Alembic), shipped inside the package.

``upgrade`` brings a database to the shape this code needs; ``check`` refuses one that has another. Both go through the
asynchronous engine, because PostgreSQL has no other driver here. Every part checks and one upgrades, so Alembic, which takes
15 MB, is imported only there.
"""

import re
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, TypeDecorator, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlmodel.sql.sqltypes import AutoString

from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.tables import metadata

FOLDER = Path(__file__).parent
_STEP = re.compile(r'^revision = "(\w+)"\ndown_revision = (?:"(\w+)"|None)$', re.MULTILINE)
_UPGRADE_LOCK = 7_210_101  # an advisory lock on PostgreSQL: two machines may start at once


async def upgrade(url: str) -> tuple[str | None, str | None]:
    """Bring the database at ``url`` to the newest revision; returns (before, after).

    Everything happens in one transaction, so a step that fails leaves the database as it was.
    Raises Unavailable when it cannot be reached, BadSettings when a newer pbxcrm has been at work there.
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
            await connection.run_sync(_upgrade)
            return before, await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        raise unreachable(error) from error
    finally:
        await database.close()


async def check(database: Database) -> None:
    """Raises BadSettings with a clear sentence when the database is not of the shape this code needs."""
    try:
        async with database.engine.connect() as connection:
            found = await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        raise unreachable(error) from error
    check_known(found)
    if found != newest():
        raise BadSettings(
            "database.old",
            "The database is not upgraded yet (it is at {found}, this version needs {needed}). Run: pbxcrm db upgrade",
            found=found or "nothing",
            needed=newest() or "nothing",
        )


def comparing() -> dict[str, Any]:
    """What Alembic needs to compare a database with the models, and to write down what differs."""
    return {"target_metadata": metadata, "compare_type": True, "render_item": _render_plainly}


def _render_plainly(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Our own column types as what they are in the database: a migration must not change when our code does."""
    if kind == "type" and isinstance(item, TypeDecorator) and type(item).__module__.startswith("pbxcrm."):
        return f"sa.{item.impl_instance!r}"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def unreachable(error: Exception) -> Unavailable:
    """What a person reads instead of a driver's traceback; the password is never part of it."""
    why = str(getattr(error, "orig", None) or error).splitlines()[0]
    return Unavailable("database.unreachable", "The database cannot be reached: {why}", why=why)


def newest() -> str:
    """The revision that ``upgrade`` leads to."""
    steps = _steps()
    (head,) = steps.keys() - steps.values()
    return head


def _steps() -> dict[str, str | None]:
    """Each revision and the one before it, read from the files without running them."""
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


def _without_foreign_keys(connection: Any, _record: object) -> None:  # a DB-API connection
    # SQLite alters a table by making a new one and dropping the old, which must not take the rows that point to it.
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()
