"""Deals, clients and companies have custom fields."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("deals", "contacts", "companies")


def upgrade() -> None:
    op.create_table(
        "field_sections",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_sections")),
    )
    op.create_table(
        "field_definitions",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hint", sa.String(length=300), nullable=False),
        sa.Column("section_id", ID, nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("options_made", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=8), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("pipeline_ids", sa.JSON(), nullable=False),
        sa.Column("shown_stage_ids", sa.JSON(), nullable=False),
        sa.Column("is_unique", sa.Boolean(), nullable=False),
        sa.Column("filterable", sa.Boolean(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["section_id"], ["field_sections.id"], name=op.f("fk_field_definitions_section_id_field_sections")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_definitions")),
        sa.UniqueConstraint("entity", "key", name=op.f("uq_field_definitions_entity_key")),
    )
    op.create_index("ix_field_definitions_section_id", "field_definitions", ["section_id"])
    values = sa.JSON().with_variant(JSONB(), "postgresql")
    for table in TABLES:  # a constant default: no row is rewritten, on either database
        op.add_column(table, sa.Column("custom", values, nullable=False, server_default="{}"))


def downgrade() -> None:
    for table in reversed(TABLES):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("custom")
    op.drop_index("ix_field_definitions_section_id", table_name="field_definitions")
    op.drop_table("field_definitions")
    op.drop_table("field_sections")
