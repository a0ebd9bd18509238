"""Whether a value of a unique field stands in another row already."""

from typing import Any

from sqlalchemy import column as plain_column
from sqlalchemy import func, table
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.fields.models import TABLES, FieldDefinition, FieldEntity
from pbxcrm.fields.rules import Stored, is_text, text_key
from pbxcrm.fields.terms import value_of
from pbxcrm.fields.value_sql import text
from pbxcrm.shared.search_keys import folded

#: Rows that count no more: a client or deal that was merged keeps its values.
_GONE = {FieldEntity.CONTACT: "merged_into_id", FieldEntity.DEAL: "merged_into_id"}


def _rows(entity: FieldEntity) -> tuple[Any, list[Any]]:
    gone = _GONE.get(entity)
    names = ("id", "custom", *((gone,) if gone else ()))
    found = table(TABLES[entity], *(plain_column(name) for name in names))
    return found, [found.c[gone].is_(None)] if gone else []


async def row_with_value(
    session: AsyncSession, definition: FieldDefinition, value: Stored, but: int | None
) -> int | None:
    """The id of another row (not ``but``) that has the same value, texts without regard to case; None if there is none."""
    rows, there = _rows(FieldEntity(definition.entity))
    compared = text_key(value) if is_text(definition) and isinstance(value, str) else value
    same = value_of(definition, rows.c.custom) == compared
    shown = text(rows.c.custom, definition.id or 0, key=False) if is_text(definition) else rows.c.id
    query = select(rows.c.id, shown).where(same, *there, *([] if but is None else [rows.c.id != but]))
    for row_id, text_there in (await session.exec(query)).all():
        if not is_text(definition) or folded(str(text_there)) == folded(str(value)):
            return int(row_id)
    return None


async def values_used_twice(session: AsyncSession, definition: FieldDefinition) -> int:
    """How many values stand in more than one row."""
    rows, there = _rows(FieldEntity(definition.entity))
    value = value_of(definition, rows.c.custom)
    twice = select(value).where(value.is_not(None), *there).group_by(value).having(func.count() > 1).subquery()
    return int((await session.exec(select(func.count()).select_from(twice))).one())
