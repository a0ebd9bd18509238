"""Texts of custom fields are sorted by the alphabet."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pbxcrm.migrations.adding import AT_ONCE
from pbxcrm.shared.alphabet import order_key

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

TABLES = {"deal": "deals", "contact": "contacts", "company": "companies"}
VALUES = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """A text has its key of the alphabet beside it. The worker makes the indexes, so that nobody waits for them."""
    for entity, ids in _texts().items():
        _rewrite(TABLES[entity], ids, with_keys=True)
    fields = sa.table("field_definitions", *map(sa.column, ("id", "kind", "target", "filterable", "archived_at")))
    kept = (_is_text(fields), fields.c.filterable.is_(True), fields.c.archived_at.is_(None))
    jobs = sa.table(
        "background_jobs",
        *(sa.column(name) for name in ("kind", "state", "done", "total", "tries", "error")),
        *(sa.column(name, sa.JSON()) for name in ("payload", "cursor", "refused", "result")),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    for (field_id,) in op.get_bind().execute(sa.select(fields.c.id).where(*kept)).all():
        op.get_bind().execute(
            sa.insert(jobs).values(
                kind="fields.index", payload={"field": field_id}, cursor={}, state="queued", done=0, total=2, refused=[], result={},
                tries=0, error="", created_at=datetime.now(UTC),
            )
        )  # fmt: skip


def downgrade() -> None:
    for entity, ids in _texts().items():
        for field_id in ids:
            op.execute(f"DROP INDEX IF EXISTS ix_custom_{field_id}_sort")
        _rewrite(TABLES[entity], ids, with_keys=False)


def _is_text(fields: sa.TableClause) -> sa.ColumnElement[bool]:
    texts = fields.c.kind.in_(["text", "long_text", "phone", "address"])
    return sa.or_(texts, sa.and_(fields.c.kind == "link", fields.c.target == "web"))


def _texts() -> dict[str, list[int]]:
    """The ids of fields that hold texts, by entity."""
    fields = sa.table("field_definitions", *map(sa.column, ("id", "entity", "kind", "target")))
    found: dict[str, list[int]] = {}
    for field_id, entity in op.get_bind().execute(sa.select(fields.c.id, fields.c.entity).where(_is_text(fields))):
        found.setdefault(entity, []).append(field_id)
    return found


def _rewrite(name: str, ids: list[int], *, with_keys: bool) -> None:
    """Put the keys beside the texts, or take them away, in batches."""
    table = sa.table(name, sa.column("id", sa.BigInteger()), sa.column("custom", VALUES))
    change = sa.update(table).where(table.c.id == sa.bindparam("row")).values(custom=sa.bindparam("now"))
    query, last = sa.select(table.c.id, table.c.custom).order_by(table.c.id).limit(AT_ONCE), 0
    while rows := op.get_bind().execute(query.where(table.c.id > last)).all():
        last = rows[-1][0]
        changed = [
            (row_id, custom, _with(custom, ids) if with_keys else _without(custom, ids)) for row_id, custom in rows
        ]
        new = [{"row": row_id, "now": now} for row_id, custom, now in changed if now != custom]
        if new:
            op.get_bind().execute(change, new)


def _with(custom: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    keys = {f"{each}s": order_key(custom[str(each)]) for each in ids if isinstance(custom.get(str(each)), str)}
    return {**custom, **keys}


def _without(custom: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    keys = {f"{each}s" for each in ids}
    return {key: value for key, value in custom.items() if key not in keys}
