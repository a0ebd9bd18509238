"""Ids of deleted rows are never given again."""

from alembic import op

from pbxcrm.migrations.adding import never_reuse_ids

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

TABLES = (
    "background_jobs",
    "calendars",
    "field_sections",
    "lamps",
    "leaves",
    "lines",
    "notes",
    "outbox",  # as 0001 made it; 0005 copied the table without it
    "special_ranges",
    "task_comments",
    "tasks",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":  # the sequences of PostgreSQL never go back
        for table in TABLES:
            never_reuse_ids(table)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            with op.batch_alter_table(table, recreate="always"):
                pass
