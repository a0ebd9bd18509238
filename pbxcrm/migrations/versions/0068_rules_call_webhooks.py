"""Outgoing webhooks, and what was sent to each."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import keeping_ids

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("name", name=op.f("uq_webhooks_name")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deliveries", table_kwargs=keeping_ids("deliveries")) as batch_op:
        batch_op.add_column(sa.Column("webhook_id", _id(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_deliveries_webhook_id"), "webhooks", ["webhook_id"], ["id"])
        of_hook = sa.text("webhook_id IS NOT NULL")
        batch_op.create_index(
            "ix_deliveries_webhook_id", ["webhook_id", "id"], sqlite_where=of_hook, postgresql_where=of_hook
        )


def downgrade() -> None:
    op.execute("DELETE FROM deliveries WHERE webhook_id IS NOT NULL")
    with op.batch_alter_table("deliveries", table_kwargs=keeping_ids("deliveries")) as batch_op:
        batch_op.drop_index("ix_deliveries_webhook_id")
        batch_op.drop_constraint(batch_op.f("fk_deliveries_webhook_id"), type_="foreignkey")
        batch_op.drop_column("webhook_id")
    op.drop_table("webhooks")
