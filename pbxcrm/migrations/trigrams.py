"""Indexes of PostgreSQL for parts of names and numbers (``LIKE '%part%'``), by the three-letter pieces of a text (``pg_trgm``).

They stand only in the database: models know nothing of them, and SQLite has none. Where the server lacks the extension, or refuses
it, the searches do without and read whole tables; the log says so.
"""

import structlog
from alembic import op
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger()
ENDING = "_trigrams"


def add_trigrams(*columns: tuple[str, str]) -> None:
    """Create an index for each ``(table, column)`` that has none yet."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except DBAPIError as error:
        why = str(error.orig).splitlines()[0]
        log.warning("migrations.no_trigrams", why=why, do="Install postgresql-contrib, then: CREATE EXTENSION pg_trgm")
        return
    for table, column in columns:
        connection.execute(
            text(f"CREATE INDEX IF NOT EXISTS {_name(table, column)} ON {table} USING gin ({column} gin_trgm_ops)")
        )


def drop_trigrams(*columns: tuple[str, str]) -> None:
    """Drop the indexes that ``add_trigrams`` created."""
    if op.get_bind().dialect.name == "postgresql":
        for table, column in columns:
            op.execute(f"DROP INDEX IF EXISTS {_name(table, column)}")


def _name(table: str, column: str) -> str:
    return f"ix_{table}_{column}{ENDING}"
