"""Incoming webhooks and their calls."""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "automation_hooks",
        sa.Column("id", _id(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_hooks")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_automation_hooks_secret_hash")),
    )
    op.create_table(
        "automation_hook_calls",
        sa.Column("id", _id(), nullable=False),
        sa.Column("hook_id", _id(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("deal_id", _id(), nullable=True),
        sa.Column("contact_id", _id(), nullable=True),
        sa.Column("sent", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_automation_hook_calls_contact_id")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_automation_hook_calls_deal_id")),
        sa.ForeignKeyConstraint(["hook_id"], ["automation_hooks.id"], name=op.f("fk_automation_hook_calls_hook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_hook_calls")),
    )
    with op.batch_alter_table("automation_hook_calls", schema=None) as batch_op:
        batch_op.create_index(op.f("ix_automation_hook_calls_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(op.f("ix_automation_hook_calls_deal_id"), ["deal_id"], unique=False)
        batch_op.create_index("ix_automation_hook_calls_key", ["hook_id", "key"], unique=False)
        batch_op.create_index("ix_automation_hook_calls_at", ["hook_id", "at"], unique=False)


def downgrade() -> None:
    op.drop_table("automation_hook_calls")
    op.drop_table("automation_hooks")
