"""A task may be a part of another: a lamp of its callback."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("part_of_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_foreign_key(batch_op.f("fk_tasks_part_of_id"), "tasks", ["part_of_id"], ["id"])
        batch_op.create_index(batch_op.f("ix_tasks_part_of_id"), ["part_of_id"], unique=False)
    op.execute(
        "UPDATE tasks SET part_of_id = (SELECT episodes.task_id FROM episodes"
        " WHERE tasks.about IN ('callback:' || CAST(episodes.id AS VARCHAR(20)), 'escalation:' || CAST(episodes.id AS VARCHAR(20))))"
        " WHERE kind IN ('lamp', 'control') AND (about LIKE 'callback:%' OR about LIKE 'escalation:%')"
    )


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tasks_part_of_id"))
        batch_op.drop_constraint(batch_op.f("fk_tasks_part_of_id"), type_="foreignkey")
        batch_op.drop_column("part_of_id")
