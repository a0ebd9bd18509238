"""Closed deals have an index by when they were closed: the report on lost deals asks for a period."""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

CLOSED = sa.text("closed_at IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deals_closed_at", ["closed_at"], unique=False, sqlite_where=CLOSED, postgresql_where=CLOSED
        )


def downgrade() -> None:
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index("ix_deals_closed_at", sqlite_where=CLOSED, postgresql_where=CLOSED)
