"""Deals can be merged."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deal_merges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_deal_merges_by_id")),
        sa.ForeignKeyConstraint(["from_id"], ["deals.id"], name=op.f("fk_deal_merges_from_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["into_id"], ["deals.id"], name=op.f("fk_deal_merges_into_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["undone_by_id"], ["users.id"], name=op.f("fk_deal_merges_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal_merges")),
    )
    with op.batch_alter_table("deal_merges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deal_merges_from_id"), ["from_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_deal_merges_into_id"), ["into_id"], unique=False)

    # Added with its constraint: SQLite would otherwise copy the table, and lose the indexes of custom fields on the way.
    kind = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(
        f"ALTER TABLE deals ADD COLUMN merged_into_id {kind} CONSTRAINT fk_deals_merged_into_id REFERENCES deals (id)"
    )
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deals_board"))
        batch_op.create_index(
            "ix_deals_board",
            ["pipeline_id", "stage_id", "stage_since", "id", "responsible_id", "merged_into_id"],
            unique=False,
        )
        batch_op.drop_index(batch_op.f("ix_deals_contact_id"))
        batch_op.create_index("ix_deals_contact_id", ["contact_id", "responsible_id", "merged_into_id"], unique=False)
        batch_op.drop_index(batch_op.f("ix_deals_responsible_id"))
        batch_op.create_index(
            "ix_deals_responsible_id",
            ["responsible_id", "contact_id", "pipeline_id", "stage_id", "id", "merged_into_id"],
            unique=False,
        )
        batch_op.drop_index(batch_op.f("ix_deals_stage_id"))
        batch_op.create_index(
            "ix_deals_stage_id",
            ["stage_id", "responsible_id", "stage_since", "amount", "id", "merged_into_id"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index("ix_deals_stage_id")
        batch_op.create_index(
            batch_op.f("ix_deals_stage_id"), ["stage_id", "responsible_id", "stage_since", "amount", "id"], unique=False
        )
        batch_op.drop_index("ix_deals_responsible_id")
        batch_op.create_index(
            batch_op.f("ix_deals_responsible_id"),
            ["responsible_id", "contact_id", "pipeline_id", "stage_id", "id"],
            unique=False,
        )
        batch_op.drop_index("ix_deals_contact_id")
        batch_op.create_index(batch_op.f("ix_deals_contact_id"), ["contact_id", "responsible_id"], unique=False)
        batch_op.drop_index("ix_deals_board")
        batch_op.create_index(
            batch_op.f("ix_deals_board"),
            ["pipeline_id", "stage_id", "stage_since", "id", "responsible_id"],
            unique=False,
        )
        batch_op.drop_column("merged_into_id")

    with op.batch_alter_table("deal_merges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deal_merges_into_id"))
        batch_op.drop_index(batch_op.f("ix_deal_merges_from_id"))

    op.drop_table("deal_merges")
