"""Functions that several migrations use."""

import sqlalchemy as sa
from alembic import op


def add_filled(table: str, *columns: sa.Column[object]) -> None:
    """Add NOT NULL columns to a table that may have rows. Each needs a ``server_default``, which fills these rows and is then dropped."""
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.add_column(column)
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.alter_column(
                str(column.name), server_default=None, existing_type=column.type, existing_nullable=False
            )
