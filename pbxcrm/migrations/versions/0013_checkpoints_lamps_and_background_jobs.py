"""Checkpoints, lamps and background jobs."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEY_STAGES = ("New request", "Didn't reach", "Proposal sent", "Invoice issued", "Invoice agreed", "Shipped")


_JSON: Any = sa.JSON()  # its type has a parameter that nobody can name
_TIME: Any = sa.DateTime(timezone=True)
_BOOL: Any = sa.Boolean()


def _table(name: str, *names: str, **typed: Any) -> sa.TableClause:
    return sa.table(
        name, *(sa.column(each) for each in names), *(sa.column(each, kind) for each, kind in typed.items())
    )


_CHECKPOINTS = _table(
    "checkpoints",
    *("id", "name", "trigger", "pipeline_id", "stage_id", "field", "offset_minutes", "talked_seconds", "version"),
    work=_JSON,
    begins_at=_TIME,
    is_active=_BOOL,
)
_STEPS = _table(
    "checkpoint_steps", "checkpoint_id", "position", "after_minutes", "whom", "what", "text", checklist=_JSON
)
_JOBS = _table(
    "background_jobs",
    *("kind", "state", "done", "total", "tries", "error"),
    payload=_JSON,
    cursor=_JSON,
    refused=_JSON,
    result=_JSON,
    created_at=_TIME,
)
_STAGES = _table(
    "stages", "id", "pipeline_id", "name", "kind", "norm_minutes", waits_for_client=_BOOL, archived_at=_TIME
)


def upgrade() -> None:
    op.create_table(
        "engine_beats",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_engine_beats")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("trigger", sa.String(length=10), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("stage_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("offset_minutes", sa.Integer(), nullable=False),
        sa.Column("work", sa.JSON(), nullable=False),
        sa.Column("talked_seconds", sa.Integer(), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipelines.id"], name=op.f("fk_checkpoints_pipeline_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_checkpoints_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    with op.batch_alter_table("checkpoints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_checkpoints_pipeline_id"), ["pipeline_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_checkpoints_stage_id"), ["stage_id"], unique=False)

    op.create_table(
        "background_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("refused", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_background_jobs_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_background_jobs")),
    )
    with op.batch_alter_table("background_jobs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_background_jobs_active",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued', 'running', 'undoing')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'undoing')"),
        )
        batch_op.create_index(batch_op.f("ix_background_jobs_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "checkpoint_steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("checkpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("after_minutes", sa.Integer(), nullable=True),
        sa.Column("whom", sa.String(length=80), nullable=False),
        sa.Column("what", sa.String(length=8), nullable=False),
        sa.Column("text", sa.String(length=300), nullable=False),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoints.id"], name=op.f("fk_checkpoint_steps_checkpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint_steps")),
        sa.UniqueConstraint("checkpoint_id", "position", name=op.f("uq_checkpoint_steps_checkpoint_id_position")),
    )
    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(length=300), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("approved_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("waits_for_approval", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["approved_by_id"], ["users.id"], name=op.f("fk_pauses_approved_by_id")),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_pauses_by_id")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_pauses_deal_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pauses_deal_id"), ["deal_id"], unique=False)

    op.create_table(
        "lamps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("checkpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=8), nullable=False),
        sa.Column("deal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("callback_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("stage_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("entry", sa.String(length=100), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("addressee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lit_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("out_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("out_reason", sa.JSON(), nullable=False),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["addressee_id"], ["users.id"], name=op.f("fk_lamps_addressee_id")),
        sa.ForeignKeyConstraint(["callback_id"], ["episodes.id"], name=op.f("fk_lamps_callback_id")),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoints.id"], name=op.f("fk_lamps_checkpoint_id")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_lamps_deal_id")),
        sa.ForeignKeyConstraint(["out_by_id"], ["users.id"], name=op.f("fk_lamps_out_by_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_lamps_owner_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name=op.f("fk_lamps_stage_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_lamps_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lamps")),
        sa.UniqueConstraint("checkpoint_id", "step", "entry", name=op.f("uq_lamps_checkpoint_id_step_entry")),
    )
    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.create_index("ix_lamps_addressee", ["addressee_id", "state"], unique=False)
        batch_op.create_index("ix_lamps_callback", ["callback_id", "state"], unique=False)
        batch_op.create_index("ix_lamps_deal", ["deal_id", "state"], unique=False)
        batch_op.create_index(
            "ix_lamps_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("state = 'armed' AND parked_at IS NULL"),
            postgresql_where=sa.text("state = 'armed' AND parked_at IS NULL"),
        )
        batch_op.create_index("ix_lamps_lit", ["lit_at"], unique=False)
        batch_op.create_index("ix_lamps_owner", ["owner_id", "state"], unique=False)
        batch_op.create_index(
            "ix_lamps_parked",
            ["parked_at"],
            unique=False,
            sqlite_where=sa.text("parked_at IS NOT NULL"),
            postgresql_where=sa.text("parked_at IS NOT NULL"),
        )

    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("first_due_at", sa.DateTime(timezone=True), nullable=True))
    _watch_key_stages()


def _watch_key_stages() -> None:
    """The six key stages of the shipped pipeline wait for the client, where they are still called as shipped. Each with a norm gets its
    checkpoint; for the deals that stand there the clock begins now, so that an upgrade lights nothing at once.
    """
    bind, now = op.get_bind(), datetime.now(UTC)
    stored = now if bind.dialect.name != "sqlite" else now.replace(tzinfo=None)
    checkpoints, steps, jobs, stages = _CHECKPOINTS, _STEPS, _JOBS, _STAGES
    bind.execute(
        stages.update()
        .where(stages.c.name.in_(KEY_STAGES), stages.c.kind.in_(("open", "didnt_reach")))
        .values(waits_for_client=True)
    )
    watched = bind.execute(
        sa.select(stages.c.id, stages.c.pipeline_id, stages.c.name)
        .where(stages.c.waits_for_client, stages.c.norm_minutes.is_not(None), stages.c.archived_at.is_(None))
        .order_by(stages.c.id)
    ).all()
    for number, (stage_id, pipeline_id, name) in enumerate(watched, start=1):
        bind.execute(
            checkpoints.insert().values(
                id=number,
                name=name,
                trigger="stage",
                pipeline_id=pipeline_id,
                stage_id=stage_id,
                field="",
                offset_minutes=0,
                work=["stage_moved", "talked", "next_task"],
                talked_seconds=30,
                begins_at=stored,
                is_active=True,
                version=1,
            )
        )
        for position, (after, whom, what) in enumerate(((None, "responsible", "task"), (60, "manager", "control"))):
            bind.execute(
                steps.insert().values(
                    checkpoint_id=number,
                    position=position,
                    after_minutes=after,
                    whom=whom,
                    what=what,
                    text="",
                    checklist=[],
                )
            )
    if not watched:
        return
    if bind.dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('checkpoints', 'id'), (SELECT max(id) FROM checkpoints))")
    bind.execute(
        jobs.insert().values(
            kind="checkpoints.recompute",
            payload={"stage": None, "pipeline": None, "checkpoint": None},
            cursor={},
            state="queued",
            done=0,
            total=0,
            refused=[],
            result={},
            tries=0,
            error="",
            created_at=stored,
        )
    )


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_column("first_due_at")

    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.drop_index("ix_lamps_owner")
        batch_op.drop_index("ix_lamps_lit")
        batch_op.drop_index(
            "ix_lamps_due",
            sqlite_where=sa.text("state = 'armed' AND parked_at IS NULL"),
            postgresql_where=sa.text("state = 'armed' AND parked_at IS NULL"),
        )
        batch_op.drop_index("ix_lamps_deal")
        batch_op.drop_index("ix_lamps_callback")
        batch_op.drop_index("ix_lamps_addressee")

    op.drop_table("lamps")
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pauses_deal_id"))

    op.drop_table("pauses")
    op.drop_table("checkpoint_steps")
    with op.batch_alter_table("background_jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_background_jobs_owner_id"))
        batch_op.drop_index(
            "ix_background_jobs_active",
            sqlite_where=sa.text("state IN ('queued', 'running', 'undoing')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'undoing')"),
        )

    op.drop_table("background_jobs")
    with op.batch_alter_table("checkpoints", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_checkpoints_stage_id"))
        batch_op.drop_index(batch_op.f("ix_checkpoints_pipeline_id"))

    op.drop_table("checkpoints")
    op.drop_table("engine_beats")
