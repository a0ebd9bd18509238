"""Lines and pipelines have schedules of attempts."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("lines", "pipelines"):
        add_filled(table, sa.Column("attempt_schedule", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    for table in ("pipelines", "lines"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("attempt_schedule")
