"""A cursor for each journal, a lease with an epoch, and ids of 64 bits."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pbx_journals",
        sa.Column("pbx", sa.String(length=32), nullable=False),
        sa.Column("journal", sa.String(length=40), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("replay_from", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=100), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_hearing", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pbx", "journal", name=op.f("pk_pbx_journals")),
    )
    # Journals had no names: the first one that connects continues from this cursor.
    op.execute(
        "INSERT INTO pbx_journals (pbx, journal, position, replay_from, owner, host, is_hearing)"
        " SELECT pbx, '', position, replay_from, '', '', false FROM pbx_status"
    )
    with op.batch_alter_table("pbx_status", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lease_epoch", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.drop_column("replay_from")
        batch_op.drop_column("position")
    with op.batch_alter_table("pbx_status", schema=None) as batch_op:
        batch_op.alter_column(
            "lease_epoch", server_default=None, existing_type=sa.BigInteger(), existing_nullable=False
        )
    _set_width("BIGINT", "INTEGER")


def downgrade() -> None:
    """Back to 32-bit ids; fails on PostgreSQL if an id does not fit."""
    _set_width("INTEGER", "BIGINT")
    with op.batch_alter_table("pbx_status", schema=None) as batch_op:
        batch_op.drop_column("lease_epoch")
        batch_op.add_column(sa.Column("position", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("replay_from", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_table("pbx_journals")


def _set_width(width: str, before: str) -> None:
    """Change the type of generated ids and of the columns that reference them. SQLite's ids have 64 bits already.

    All columns of a table are changed in one statement, so that PostgreSQL rewrites the table only once.
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    columns: dict[str, set[str]] = defaultdict(set)
    for table in inspector.get_table_names():
        types = {column["name"]: str(column["type"]) for column in inspector.get_columns(table)}
        wanted = {name for key in inspector.get_foreign_keys(table) for name in key["constrained_columns"]}
        if "id" in types:
            sequence = connection.execute(sa.text(f"SELECT pg_get_serial_sequence('{table}', 'id')")).scalar()
            if sequence:
                op.execute(f"ALTER SEQUENCE {sequence} AS {width}")
                wanted.add("id")
        columns[table] = {name for name in wanted if types[name] == before}
    for table, names in columns.items():
        if names:
            changes = ", ".join(f'ALTER COLUMN "{name}" TYPE {width}' for name in sorted(names))
            op.execute(f'ALTER TABLE "{table}" {changes}')
