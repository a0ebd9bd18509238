"""Phones have extensions."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.add_column(sa.Column("extension", sa.String(length=8), nullable=False, server_default=""))
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.alter_column("extension", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_column("extension")
