"""Deals have tags, saved views and bulk changes."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.trigrams import add_trigrams, drop_trigrams

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

SEARCHED = (
    ("deals", "title_folded"),
    ("deals", "client_number"),
    ("contacts", "name_folded"),
    ("companies", "name_folded"),
    ("phones", "number"),
)


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("key", name=op.f("uq_tags_key")),
    )
    op.create_table(
        "deal_views",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("query", sa.String(length=2000), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_deal_views_owner_id")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_deal_views_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal_views")),
    )
    with op.batch_alter_table("deal_views", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deal_views_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_deal_views_team_id"), ["team_id"], unique=False)

    op.create_table(
        "bulk_changes",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("is_undone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_bulk_changes_deal_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["background_jobs.id"], name=op.f("fk_bulk_changes_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "deal_id", name=op.f("pk_bulk_changes")),
    )
    with op.batch_alter_table("bulk_changes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bulk_changes_deal_id"), ["deal_id"], unique=False)

    op.create_table(
        "deal_tags",
        sa.Column("deal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_deal_tags_deal_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name=op.f("fk_deal_tags_tag_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("deal_id", "tag_id", name=op.f("pk_deal_tags")),
    )
    with op.batch_alter_table("deal_tags", schema=None) as batch_op:
        batch_op.create_index("ix_deal_tags_tag_id", ["tag_id", "deal_id"], unique=False)

    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deals_responsible_id"))
        batch_op.create_index(
            "ix_deals_responsible_id", ["responsible_id", "contact_id", "pipeline_id", "stage_id", "id"], unique=False
        )
    add_trigrams(*SEARCHED)


def downgrade() -> None:
    drop_trigrams(*SEARCHED)
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index("ix_deals_responsible_id")
        batch_op.create_index(batch_op.f("ix_deals_responsible_id"), ["responsible_id"], unique=False)

    with op.batch_alter_table("deal_tags", schema=None) as batch_op:
        batch_op.drop_index("ix_deal_tags_tag_id")

    op.drop_table("deal_tags")
    with op.batch_alter_table("bulk_changes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bulk_changes_deal_id"))

    op.drop_table("bulk_changes")
    with op.batch_alter_table("deal_views", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deal_views_team_id"))
        batch_op.drop_index(batch_op.f("ix_deal_views_owner_id"))

    op.drop_table("deal_views")
    op.drop_table("tags")
