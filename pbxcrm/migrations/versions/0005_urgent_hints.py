"""A column of the outbox says that a hint is urgent, instead of a prefix of the reference."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("urgent", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE outbox SET urgent = true, ref = substr(ref, 8) WHERE ref LIKE 'urgent %'")


def downgrade() -> None:
    op.execute("UPDATE outbox SET ref = 'urgent ' || ref WHERE urgent")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_column("urgent")
