"""Deals have dates."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

DATES = ("proposal_until", "invoice_until", "event_at", "survey_at")


def upgrade() -> None:
    for name in DATES:
        op.add_column("deals", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("deals") as batch_op:
        for name in reversed(DATES):
            batch_op.drop_column(name)
