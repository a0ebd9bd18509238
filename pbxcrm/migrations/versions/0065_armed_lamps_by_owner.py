"""Armed lamps are counted by owner from their index alone."""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

NAME, TABLE, ARMED = "ix_lamps_due", "lamps", sa.text("state = 'armed' AND parked_at IS NULL")


def upgrade() -> None:
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, ["due_at", "owner_id"], sqlite_where=ARMED, postgresql_where=ARMED)


def downgrade() -> None:
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, ["due_at"], sqlite_where=ARMED, postgresql_where=ARMED)
