"""Addresses come onto the stop list by the link in an e-mail, without anybody of ours, and say why."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled, keeping_ids

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_filled("message_stops", sa.Column("why", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    with op.batch_alter_table("message_stops", table_kwargs=keeping_ids("message_stops")) as batch_op:
        batch_op.alter_column("by_id", existing_type=sa.INTEGER(), nullable=True)


def downgrade() -> None:
    # Who said no stays on the list, under the name of the first user.
    op.execute("UPDATE message_stops SET by_id = (SELECT MIN(id) FROM users) WHERE by_id IS NULL")
    with op.batch_alter_table("message_stops", table_kwargs=keeping_ids("message_stops")) as batch_op:
        batch_op.alter_column("by_id", existing_type=sa.INTEGER(), nullable=False)
        batch_op.drop_column("why")
