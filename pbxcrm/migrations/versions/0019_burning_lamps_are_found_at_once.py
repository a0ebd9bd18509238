"""Burning lamps are found at once."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BURNING = sa.text("state = 'burning'")


def upgrade() -> None:
    op.create_index("ix_lamps_burning", "lamps", ["lit_at", "owner_id"], sqlite_where=BURNING, postgresql_where=BURNING)


def downgrade() -> None:
    op.drop_index("ix_lamps_burning", "lamps")
