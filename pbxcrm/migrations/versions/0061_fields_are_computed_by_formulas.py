"""Custom fields whose values are computed by a formula."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_filled("field_definitions", sa.Column("formula", sa.String(length=1000), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("field_definitions", schema=None) as batch_op:
        batch_op.drop_column("formula")
