"""Clients and companies are sorted by name."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import keeping_ids, write_keys
from pbxcrm.shared.alphabet import order_key

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

TABLES = ("contacts", "companies")


def upgrade() -> None:
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for table in TABLES:
        # Its default spares both databases a copy of the table.
        op.add_column(table, sa.Column("name_order", kind, server_default=sa.text("''"), nullable=False))
        write_keys(table, "name", "name_order", order_key)
        op.create_index(f"ix_{table}_name_order", table, ["name_order", "id"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_name_order", table)
        with op.batch_alter_table(table, table_kwargs=keeping_ids(table)) as batch:
            batch.drop_column("name_order")
