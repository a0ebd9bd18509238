"""A next task counts for a limited time."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

DAYS = 90  # what the column begins with


def upgrade() -> None:
    add_filled("pipelines", sa.Column("longest_plan_days", sa.Integer(), nullable=False, server_default=str(DAYS)))
    # Lamps that wait for a later task are due now: the sweep reads their facts, and moves them to where the limit puts them.
    lamps = sa.table(
        "lamps",
        sa.column("entry", sa.String()),
        sa.column("state", sa.String()),
        sa.column("entered_at", sa.DateTime(timezone=True)),
        sa.column("due_at", sa.DateTime(timezone=True)),
    )
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    waits = sa.and_(
        lamps.c.state == "armed", lamps.c.entry.like("%:task:%"), lamps.c.entered_at > now + timedelta(days=DAYS)
    )
    op.execute(lamps.update().where(waits).values(due_at=now))


def downgrade() -> None:
    with op.batch_alter_table("pipelines", schema=None) as batch_op:
        batch_op.drop_column("longest_plan_days")
