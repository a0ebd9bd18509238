"""Tasks have checklists, assignments and a thread."""

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_comments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("act", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(length=4000), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_task_comments_author_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_comments_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_comments")),
    )
    with op.batch_alter_table("task_comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_task_comments_task_id"), ["task_id"], unique=False)

    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repeat_day", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("follows_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("given_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("checked_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_tasks_given_by_id"), ["given_by_id"], unique=False)
        batch_op.create_unique_constraint("uq_tasks_follows_id", ["follows_id"])
        batch_op.create_foreign_key(batch_op.f("fk_tasks_checked_by_id"), "users", ["checked_by_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_tasks_follows_id"), "tasks", ["follows_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_tasks_given_by_id"), "users", ["given_by_id"], ["id"])
    add_filled(
        "tasks",
        sa.Column("instruction", sa.String(length=4000), server_default="", nullable=False),
        sa.Column("checklist", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("repeat", sa.String(length=10), server_default="", nullable=False),
        sa.Column("postponed", sa.Integer(), server_default="0", nullable=False),
    )
    # There was no checking before, so assignments that are already done count as checked.
    op.execute(
        "UPDATE tasks SET given_by_id = created_by_id "
        "WHERE created_by_id IS NOT NULL AND (kind = 'assignment' OR created_by_id <> assignee_id)"
    )
    op.execute("UPDATE tasks SET checked_at = done_at WHERE kind = 'assignment' AND status = 'done'")


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_tasks_given_by_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_tasks_follows_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_tasks_checked_by_id"), type_="foreignkey")
        batch_op.drop_constraint("uq_tasks_follows_id", type_="unique")
        batch_op.drop_index(batch_op.f("ix_tasks_given_by_id"))
        batch_op.drop_column("returned_at")
        batch_op.drop_column("checked_by_id")
        batch_op.drop_column("checked_at")
        batch_op.drop_column("accepted_at")
        batch_op.drop_column("given_by_id")
        batch_op.drop_column("postponed")
        batch_op.drop_column("snoozed_until")
        batch_op.drop_column("follows_id")
        batch_op.drop_column("repeat_day")
        batch_op.drop_column("repeat")
        batch_op.drop_column("checklist")
        batch_op.drop_column("instruction")

    with op.batch_alter_table("task_comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_task_comments_task_id"))

    op.drop_table("task_comments")
