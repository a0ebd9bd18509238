"""Lamps know when their clock was made to begin, and until when a delay is accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.add_column(sa.Column("begins_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("look_again_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.drop_column("look_again_at")
        batch_op.drop_column("begins_at")
