"""Numbers know whether they were entered beside another person's work."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_filled("phones", sa.Column("beside", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_column("beside")
