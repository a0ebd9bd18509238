"""Lists, counters and reports find what they show among a million rows."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

OPEN, GIVEN, BY_CALL = (
    sa.text("status = 'open'"),
    sa.text("kind = 'assignment'"),
    sa.text("closed_by_call_id IS NOT NULL"),
)
TO_CHECK = sa.text("kind = 'assignment' AND status = 'done' AND checked_at IS NULL")


def upgrade() -> None:
    op.drop_index("ix_tasks_due_at", table_name="tasks")
    op.create_index(
        "ix_tasks_open", "tasks", ["due_at", "kind", "assignee_id"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("ix_tasks_given", "tasks", ["created_at"], sqlite_where=GIVEN, postgresql_where=GIVEN)
    op.create_index(
        "ix_tasks_to_check", "tasks", ["given_by_id", "due_at"], sqlite_where=TO_CHECK, postgresql_where=TO_CHECK
    )
    op.create_index("ix_tasks_done_at", "tasks", ["done_at"])
    op.create_index("ix_episodes_first_missed_at", "episodes", ["first_missed_at"])
    op.create_index(
        "ix_episodes_closed_by_call", "episodes", ["closed_at"], sqlite_where=BY_CALL, postgresql_where=BY_CALL
    )
    op.drop_index("ix_deals_stage_id", table_name="deals")
    op.create_index("ix_deals_stage_id", "deals", ["stage_id", "responsible_id", "stage_since", "amount", "id"])
    op.drop_index("ix_deals_board", table_name="deals")
    op.create_index("ix_deals_board", "deals", ["pipeline_id", "stage_id", "stage_since", "id", "responsible_id"])


def downgrade() -> None:
    op.drop_index("ix_deals_board", table_name="deals")
    op.create_index("ix_deals_board", "deals", ["pipeline_id", "stage_id", "stage_since"])
    op.drop_index("ix_deals_stage_id", table_name="deals")
    op.create_index("ix_deals_stage_id", "deals", ["stage_id"])
    op.drop_index("ix_episodes_closed_by_call", table_name="episodes")
    op.drop_index("ix_episodes_first_missed_at", table_name="episodes")
    op.drop_index("ix_tasks_done_at", table_name="tasks")
    op.drop_index("ix_tasks_to_check", table_name="tasks")
    op.drop_index("ix_tasks_given", table_name="tasks")
    op.drop_index("ix_tasks_open", table_name="tasks")
    op.create_index("ix_tasks_due_at", "tasks", ["due_at"])
