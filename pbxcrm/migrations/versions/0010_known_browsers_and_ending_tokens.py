"""Browsers are known again, tokens have an end."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    for table in ("failed_logins", "login_sessions"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("device_hash", sa.String(length=64), server_default="", nullable=False))
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(
                "device_hash", server_default=None, existing_type=sa.String(length=64), existing_nullable=False
            )


def downgrade() -> None:
    for table in ("login_sessions", "failed_logins"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("device_hash")
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.drop_column("expires_at")
