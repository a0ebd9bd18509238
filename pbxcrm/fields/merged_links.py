"""Links to rows that were merged: whoever asks for rows that point to one finds also those that still point to what was merged into it.

A merge leaves links as they are, so that its undo has nothing to put back; a reader sees the survivor.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Select, cast, literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.fields.conditions import Condition, Test
from pbxcrm.fields.hooks import merges_of
from pbxcrm.shared.core_sql import fetch


def same_rows(target: str, ids: Collection[int]) -> Select[Any]:
    """These rows of a ``LinkTarget``, at least one, and all that were merged into one of them, also on the way through others."""
    merge = merges_of(target)
    first, *others = (select(cast(literal(row_id, BigInteger()), BigInteger).label("id")) for row_id in sorted(ids))
    same = first.cte(recursive=True)
    merged = select(merge.c.from_id).join(same, merge.c.into_id == same.c.id).where(merge.c.undone_at.is_(None))
    # A sum has no affinity: with that of a column, SQLite would not look the ids up in the index on a value in JSON.
    return select(same.union(*others, merged).c.id + 0)


async def with_merged_links(session: AsyncSession, condition: Condition) -> Condition:
    """The condition as it is asked in Python now: each link that it asks for stands for what was merged into it, too."""
    if not has_links(condition):
        return condition
    if isinstance(condition, Test):
        found = await fetch(session, same_rows(condition.term.target, condition.values))
        return replace(condition, merged=frozenset(row_id for (row_id,) in found) - set(condition.values))
    parts = [await with_merged_links(session, part) for part in condition.parts]
    return replace(condition, parts=tuple(parts))


def has_links(condition: Condition | None) -> bool:
    """Whether it asks for rows that a field points to."""
    if isinstance(condition, Test):
        return bool(condition.term.target and condition.values)
    return condition is not None and any(has_links(part) for part in condition.parts)
