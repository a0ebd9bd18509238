"""Functions that several migrations use."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

AT_ONCE = 2000  # rows


def never_reuse_ids(table: str) -> None:
    """Let SQLite give each id of the table once, also after the row is deleted."""
    with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
        pass


def keeping_ids(table: str) -> dict[str, bool]:
    """The ``table_kwargs`` of ``op.batch_alter_table`` for a table that may be one of ``never_reuse_ids``: a copy would forget it."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return {}
    asked = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    return {"sqlite_autoincrement": "AUTOINCREMENT" in (connection.execute(asked, {"name": table}).scalar() or "")}


def add_filled(table: str, *columns: sa.Column[object]) -> None:
    """Add NOT NULL columns to a table that may have rows. Each needs a ``server_default``, which fills these rows and is then dropped."""
    with op.batch_alter_table(table, table_kwargs=keeping_ids(table)) as batch:
        for column in columns:
            batch.add_column(column)
    with op.batch_alter_table(table, table_kwargs=keeping_ids(table)) as batch:
        for column in columns:
            batch.alter_column(
                str(column.name), server_default=None, existing_type=column.type, existing_nullable=False
            )


def write_keys(name: str, source: str, target: str, key_of: Callable[[str], str]) -> None:
    """Fill the keys with the function of the current code, in batches."""
    table = sa.table(name, sa.column("id", sa.BigInteger()), sa.column(source), sa.column(target))
    change = sa.update(table).where(table.c.id == sa.bindparam("row")).values({target: sa.bindparam("key")})
    query, last = sa.select(table.c.id, table.c[source]).order_by(table.c.id).limit(AT_ONCE), 0
    while rows := op.get_bind().execute(query.where(table.c.id > last)).all():
        last = rows[-1][0]
        keys = [{"row": row_id, "key": key} for row_id, text in rows if (key := key_of(text or ""))]
        if keys:
            op.get_bind().execute(change, keys)
