"""Lists of clients and companies have saved views."""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deal_views", sa.Column("entity", sa.String(length=8), nullable=False, server_default="deal"))


def downgrade() -> None:
    op.execute("DELETE FROM deal_views WHERE entity <> 'deal'")
    with op.batch_alter_table("deal_views") as batch:
        batch.drop_column("entity")
