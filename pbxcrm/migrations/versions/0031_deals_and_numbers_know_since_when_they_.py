"""Deals and numbers know since when they have a number."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("number_since", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.add_column(sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    phones = sa.table("phones", sa.column("since", sa.DateTime(timezone=True)), sa.column("beside", sa.Boolean))
    # What was entered beside other people's work stays behind it; the others have had their numbers as long as their client.
    op.execute(phones.update().where(phones.c.beside).values(since=datetime.now(UTC)))
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_column("beside")


def downgrade() -> None:
    add_filled("phones", sa.Column("beside", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("phones", schema=None) as batch_op:
        batch_op.drop_column("since")
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_column("number_since")
