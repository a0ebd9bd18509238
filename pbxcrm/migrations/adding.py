"""Steps that migrations share."""

import sqlalchemy as sa
from alembic import op


def add_filled(table: str, *columns: sa.Column[object]) -> None:
    """Add required columns to a table that may have rows: each needs a ``server_default``, which fills the old rows and then goes."""
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.add_column(column)
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.alter_column(
                str(column.name), server_default=None, existing_type=column.type, existing_nullable=False
            )
