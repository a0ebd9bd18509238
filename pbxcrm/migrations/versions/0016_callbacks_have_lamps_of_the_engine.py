"""Callbacks have lamps of the engine.

The norm and the pause, until now options, become the checkpoint of the callbacks. What was armed (timers), what burns and what
burned (tasks and escalations) become lamps, with who decided what about them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from pbxcrm.migrations.adding import add_filled

revision = "0016"
down_revision = "0019"
branch_labels = None
depends_on = None

_JSON: Any = sa.JSON()  # its type has a parameter that nobody can name
_TIME: Any = sa.DateTime(timezone=True)
_BOOL: Any = sa.Boolean()
_ID: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NORM, PAUSE = "callback_due_minutes", "callback_pause_minutes"
SHIPPED = 20


def _table(name: str, *names: str, **typed: Any) -> sa.TableClause:
    return sa.table(
        name, *(sa.column(each) for each in names), *(sa.column(each, kind) for each, kind in typed.items())
    )


_CHECKPOINTS = _table(
    "checkpoints",
    *("id", "name", "trigger", "field", "offset_minutes", "talked_seconds", "version"),
    work=_JSON,
    is_active=_BOOL,
)
_STEPS = _table(
    "checkpoint_steps", "checkpoint_id", "position", "after_minutes", "whom", "what", "text", checklist=_JSON
)
_OPTIONS = _table("options", "key", value=_JSON)
_EPISODES = _table(
    "episodes", "id", "owner_id", "deal_id", "status", norm_from=_TIME, lamp_lit_at=_TIME, first_missed_at=_TIME
)
_TASKS = _table(
    "tasks",
    *("id", "kind", "about", "status", "assignee_id", "done_by_id"),
    created_at=_TIME,
    done_at=_TIME,
    reason=_JSON,
    result_code=_JSON,
)
_ESCALATIONS = _table(
    "escalations",
    *("id", "episode_id", "owner_id", "manager_id", "task_id", "state", "closed_by_id", "note"),
    opened_at=_TIME,
    closed_at=_TIME,
    reason=_JSON,
)
_TIMERS = _table("timers", "key", "kind", due_at=_TIME, done_at=_TIME)
_LAMPS = _table(
    "lamps",
    *("id", "checkpoint_id", "step", "subject", "deal_id", "callback_id", "stage_id", "entry", "owner_id"),
    *("addressee_id", "state", "minutes", "out_by_id", "task_id", "decision", "note", "error", "version"),
    entered_at=_TIME,
    due_at=_TIME,
    lit_at=_TIME,
    asked_at=_TIME,
    out_at=_TIME,
    out_reason=_JSON,
    reason=_JSON,
    worked=_JSON,
    is_escalation=_BOOL,
)


def upgrade() -> None:
    add_filled(
        "lamps",
        sa.Column("is_escalation", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("worked", sa.JSON(), nullable=False, server_default="[]"),
    )
    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.create_index("ix_lamps_escalations", ["is_escalation", "state", "lit_at"], unique=False)
    op.execute(
        "UPDATE lamps SET is_escalation = true WHERE lit_at IS NOT NULL AND EXISTS (SELECT 1 FROM checkpoint_steps s"
        " WHERE s.checkpoint_id = lamps.checkpoint_id AND s.position = lamps.step"
        " AND s.whom IN ('manager', 'joint', 'role:manager'))"
    )
    bind = op.get_bind()
    minutes = _minutes(bind)
    checkpoint_id = _make_checkpoint(bind, minutes)
    _make_lamps(bind, checkpoint_id, minutes)
    bind.execute(_TIMERS.delete().where(_TIMERS.c.kind.in_(("callbacks.norm", "callbacks.escalate"))))
    bind.execute(_OPTIONS.delete().where(_OPTIONS.c.key.in_((NORM, PAUSE))))

    op.drop_table("escalations")
    with op.batch_alter_table("episodes", schema=None) as batch_op:
        batch_op.drop_column("lamp_lit_at")


def _minutes(bind: sa.Connection) -> tuple[int, int]:
    stored: dict[str, Any] = dict(
        bind.execute(sa.select(_OPTIONS.c.key, _OPTIONS.c.value).where(_OPTIONS.c.key.in_((NORM, PAUSE)))).all()
    )
    return int(stored.get(NORM, SHIPPED)), int(stored.get(PAUSE, SHIPPED))


def _make_checkpoint(bind: sa.Connection, minutes: tuple[int, int]) -> int:
    last: int | None = bind.execute(sa.select(sa.func.max(_CHECKPOINTS.c.id))).scalar()
    checkpoint_id = (last or 0) + 1
    bind.execute(
        _CHECKPOINTS.insert().values(
            id=checkpoint_id,
            name="Callbacks",
            trigger="callback",
            field="",
            offset_minutes=0,
            talked_seconds=0,
            version=1,
            work=["talked"],
            is_active=True,
        )
    )
    for position, (after, whom, what) in enumerate(
        ((minutes[0], "responsible", "task"), (minutes[1], "manager", "control"))
    ):
        bind.execute(
            _STEPS.insert().values(
                checkpoint_id=checkpoint_id,
                position=position,
                after_minutes=after,
                whom=whom,
                what=what,
                text="",
                checklist=[],
            )
        )
    if bind.dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('checkpoints', 'id'), (SELECT max(id) FROM checkpoints))")
    return checkpoint_id


def _make_lamps(bind: sa.Connection, checkpoint_id: int, minutes: tuple[int, int]) -> None:
    lamp_tasks: dict[int, list[sa.RowMapping]] = {}
    of_callbacks = sa.select(_TASKS).where(_TASKS.c.kind == "lamp", _TASKS.c.about.like("callback:%"))
    for task in bind.execute(of_callbacks.order_by(_TASKS.c.id)).mappings():
        lamp_tasks.setdefault(int(task["about"].removeprefix("callback:")), []).append(task)
    escalations: dict[int, list[sa.RowMapping]] = {}
    for row in bind.execute(sa.select(_ESCALATIONS).order_by(_ESCALATIONS.c.id)).mappings():
        escalations.setdefault(row["episode_id"], []).append(row)
    timers = dict(bind.execute(sa.select(_TIMERS.c.key, _TIMERS.c.due_at).where(_TIMERS.c.done_at.is_(None))).all())
    number: int = bind.execute(sa.select(sa.func.max(_LAMPS.c.id))).scalar() or 0
    for episode in bind.execute(sa.select(_EPISODES).order_by(_EPISODES.c.id)).mappings():
        made = _lamps_of(
            episode, lamp_tasks.get(episode["id"], []), escalations.get(episode["id"], []), timers, minutes
        )
        for lamp in made:
            number += 1
            bind.execute(_LAMPS.insert().values(id=number, checkpoint_id=checkpoint_id, **lamp))
            if lamp["task_id"] is not None:
                about = f"callback-lamp:{number}"
                bind.execute(_TASKS.update().where(_TASKS.c.id == lamp["task_id"]).values(about=about))
    if number and bind.dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('lamps', 'id'), (SELECT max(id) FROM lamps))")


def _lamps_of(
    episode: sa.RowMapping,
    lamp_tasks: list[sa.RowMapping],
    escalations: list[sa.RowMapping],
    timers: Mapping[str, datetime],
    minutes: tuple[int, int],
) -> list[dict[str, Any]]:
    """The rows of the lamps of a callback: past, burning and armed ones."""
    since, found = episode["norm_from"] or episode["first_missed_at"], []
    is_open, lit_at = episode["status"] == "open", episode["lamp_lit_at"]
    entry = f"c{episode['id']}:{round(_utc(since).timestamp() * 1_000_000)}"
    burns = False
    for task in lamp_tasks:
        is_now = is_open and lit_at is not None and task["status"] == "open"
        burns = burns or is_now
        lamp = _lamp(episode, 0, entry if is_now else f"c{episode['id']}:task{task['id']}", minutes[0])
        lamp |= {"lit_at": task["created_at"], "due_at": task["created_at"], "asked_at": task["created_at"]}
        lamp |= {"entered_at": since if is_now else task["created_at"], "addressee_id": task["assignee_id"]}
        lamp |= {"owner_id": task["assignee_id"], "task_id": task["id"], "reason": task["reason"]}
        if not is_now:
            lamp |= {"state": "out", "out_at": task["done_at"] or task["created_at"], "out_by_id": task["done_by_id"]}
            lamp |= {"out_reason": task["result_code"]}
        found.append(lamp)
    if is_open and lit_at is not None and not burns:
        found.append(_lamp(episode, 0, entry, minutes[0]) | {"lit_at": lit_at, "due_at": lit_at, "asked_at": lit_at})
    escalated = False
    for row in escalations:
        is_now = is_open and row["state"] == "open"
        escalated = escalated or is_now
        opened = row["opened_at"]
        lamp = _lamp(episode, 1, f"{entry}/now" if is_now else f"c{episode['id']}:escalation{row['id']}", minutes[1])
        lamp |= {
            "lit_at": opened,
            "due_at": opened,
            "asked_at": opened,
            "entered_at": (lit_at if is_now else None) or opened,
        }
        lamp |= {"owner_id": row["owner_id"], "addressee_id": row["manager_id"], "task_id": row["task_id"]}
        lamp |= {"reason": row["reason"], "is_escalation": True, "note": row["note"]}
        if not is_now:
            decision = row["state"] if row["state"] in {"accepted", "reassigned"} else ""
            lamp |= {"state": "out", "out_at": row["closed_at"] or opened, "out_by_id": row["closed_by_id"]}
            lamp |= {"decision": decision}
        found.append(lamp)
    if is_open and episode["norm_from"] is not None and not escalated:
        if lit_at is None:
            due = timers.get(f"callbacks.norm:{episode['id']}", since)
            found.append(_lamp(episode, 0, entry, minutes[0]) | {"state": "armed", "due_at": due})
        else:
            due = timers.get(f"callbacks.escalate:{episode['id']}", lit_at)
            later = _lamp(episode, 1, f"{entry}/{int(_utc(lit_at).timestamp())}", minutes[1])
            found.append(later | {"state": "armed", "due_at": due, "entered_at": lit_at})
    return found


def _lamp(episode: sa.RowMapping, step: int, entry: str, minutes: int) -> dict[str, Any]:
    since = episode["norm_from"] or episode["first_missed_at"]
    return {
        "step": step,
        "subject": "callback",
        "deal_id": episode["deal_id"],
        "callback_id": episode["id"],
        "stage_id": None,
        "entry": entry,
        "owner_id": episode["owner_id"],
        "addressee_id": None,
        "state": "burning",
        "entered_at": since,
        "minutes": minutes,
        "due_at": since,
        "lit_at": None,
        "asked_at": None,
        "out_at": None,
        "out_by_id": None,
        "out_reason": {},
        "task_id": None,
        "reason": {},
        "worked": [],
        "is_escalation": False,
        "decision": "",
        "note": "",
        "error": "",
        "version": 1,
    }


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def downgrade() -> None:
    """Recreate the table and the column, empty, and delete the lamps of callbacks."""
    op.execute("DELETE FROM lamps WHERE subject = 'callback'")
    op.execute(
        "DELETE FROM checkpoint_steps WHERE checkpoint_id IN (SELECT id FROM checkpoints WHERE trigger = 'callback')"
    )
    op.execute("DELETE FROM checkpoints WHERE trigger = 'callback'")
    with op.batch_alter_table("lamps", schema=None) as batch_op:
        batch_op.drop_index("ix_lamps_escalations")
        batch_op.drop_column("worked")
        batch_op.drop_column("is_escalation")
    with op.batch_alter_table("episodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lamp_lit_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "escalations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("episode_id", _ID, nullable=False),
        sa.Column("owner_id", _ID, nullable=True),
        sa.Column("manager_id", _ID, nullable=True),
        sa.Column("task_id", _ID, nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_id", _ID, nullable=True),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["closed_by_id"], ["users.id"], name=op.f("fk_escalations_closed_by_id")),
        sa.ForeignKeyConstraint(
            ["episode_id"], ["episodes.id"], name=op.f("fk_escalations_episode_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["manager_id"], ["users.id"], name=op.f("fk_escalations_manager_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_escalations_owner_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_escalations_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
    )
    with op.batch_alter_table("escalations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("uq_escalations_open"),
            ["episode_id"],
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )
        batch_op.create_index(batch_op.f("ix_escalations_state"), ["state", "opened_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_escalations_manager_id"), ["manager_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_escalations_episode_id"), ["episode_id"], unique=False)
