"""Stages ask for tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stage_tasks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stage_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("instruction", sa.String(length=4000), nullable=False),
        sa.Column("whom", sa.String(length=80), nullable=False),
        sa.Column("after_minutes", sa.Integer(), nullable=False),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_stage_tasks_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_tasks")),
    )
    with op.batch_alter_table("stage_tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stage_tasks_stage_id"), ["stage_id"], unique=False)

    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("stage_task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("stage_move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_unique_constraint("uq_tasks_stage_task_id_stage_move_id", ["stage_task_id", "stage_move_id"])
        batch_op.create_foreign_key(batch_op.f("fk_tasks_stage_task_id"), "stage_tasks", ["stage_task_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("fk_tasks_stage_move_id"), "stage_moves", ["stage_move_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_tasks_stage_move_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_tasks_stage_task_id"), type_="foreignkey")
        batch_op.drop_constraint("uq_tasks_stage_task_id_stage_move_id", type_="unique")
        batch_op.drop_column("stage_move_id")
        batch_op.drop_column("stage_task_id")

    with op.batch_alter_table("stage_tasks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stage_tasks_stage_id"))

    op.drop_table("stage_tasks")
