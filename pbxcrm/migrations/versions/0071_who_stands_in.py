"""Who stands in for somebody absent."""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The worker fills it within a minute from the leaves."""
    op.add_column(
        "users", sa.Column("stood_in_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("users", "stood_in_by_id")
