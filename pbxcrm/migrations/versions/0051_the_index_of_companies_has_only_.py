"""The index of companies has only rows that have one."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

OF_COMPANY = sa.text("company_id IS NOT NULL")


def upgrade() -> None:
    for table in ("contacts", "deals"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(batch_op.f(f"ix_{table}_company_id"))
            batch_op.create_index(
                f"ix_{table}_company_id",
                ["company_id"],
                unique=False,
                sqlite_where=OF_COMPANY,
                postgresql_where=OF_COMPANY,
            )


def downgrade() -> None:
    for table in ("contacts", "deals"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(f"ix_{table}_company_id", sqlite_where=OF_COMPANY, postgresql_where=OF_COMPANY)
            batch_op.create_index(batch_op.f(f"ix_{table}_company_id"), ["company_id"], unique=False)
