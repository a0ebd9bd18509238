"""The gateway of SMS, as its form describes it."""

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sms_gateways",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("headers", sa.String(length=1000), nullable=False),
        sa.Column("body_format", sa.String(length=8), nullable=False),
        sa.Column("body", sa.String(length=4000), nullable=False),
        sa.Column("sender", sa.String(length=30), nullable=False),
        sa.Column("secret", sa.String(length=200), nullable=False),
        sa.Column("taken_path", sa.String(length=100), nullable=False),
        sa.Column("error_path", sa.String(length=200), nullable=False),
        sa.Column("taken_words", sa.String(length=100), nullable=False),
        sa.Column("knows_repeats", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms_gateways")),
    )


def downgrade() -> None:
    op.drop_table("sms_gateways")
