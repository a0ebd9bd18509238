"""Pipelines and stages are edited."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deals") as batch_op:
        batch_op.add_column(
            sa.Column("follows_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_index(batch_op.f("ix_deals_follows_id"), ["follows_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_deals_follows_id"), "deals", ["follows_id"], ["id"])
    with op.batch_alter_table("pipelines") as batch_op:
        batch_op.add_column(
            sa.Column("next_pipeline_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_pipelines_next_pipeline_id"), "pipelines", ["next_pipeline_id"], ["id"]
        )
    add_filled(
        "pipelines",
        sa.Column("carries", sa.JSON(), server_default='["client", "responsible", "amount", "source"]', nullable=False),
        sa.Column("asks_why_lost", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    )
    with op.batch_alter_table("stages") as batch_op:
        batch_op.add_column(sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    add_filled(
        "stages",
        sa.Column("colour", sa.String(length=8), server_default="", nullable=False),
        sa.Column("waits_for_client", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("extra_control", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("requires", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    )


def downgrade() -> None:
    with op.batch_alter_table("stages", schema=None) as batch_op:
        batch_op.drop_column("version")
        batch_op.drop_column("archived_at")
        batch_op.drop_column("requires")
        batch_op.drop_column("extra_control")
        batch_op.drop_column("waits_for_client")
        batch_op.drop_column("colour")

    with op.batch_alter_table("pipelines", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_pipelines_next_pipeline_id"), type_="foreignkey")
        batch_op.drop_column("version")
        batch_op.drop_column("archived_at")
        batch_op.drop_column("asks_why_lost")
        batch_op.drop_column("carries")
        batch_op.drop_column("next_pipeline_id")

    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_deals_follows_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_deals_follows_id"))
        batch_op.drop_column("follows_id")
