"""Moves the rows that refer to one client to another, in every table with a foreign key to clients, in any context.

The tables are found by their foreign keys, so a table that is added later is included without a change here. It needs an
``id`` and no unique constraint on its client (a test checks this). A context that must decide about its rows registers a
function for ``contacts_merging``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, Table, func, select, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.core_sql import fetch

#: Tables of this context, which the merge handles itself.
OWN = frozenset({"contacts", "phones", "emails", "merges", "not_same"})
AT_ONCE = 500  # ids in one statement

Moved = dict[str, list[list[int | None]]]  # "deals.contact_id" -> [[id, version at that time or None], …]


@dataclass(frozen=True, slots=True)
class ClientColumn:
    """A column that refers to a client."""

    table: Table
    column: Column[Any]

    @property
    def name(self) -> str:
        """``table.column``, the key in ``Moved``."""
        return f"{self.table.name}.{self.column.name}"

    @property
    def columns(self) -> list[Column[Any]]:
        """The table's id column, and its version column if it has one."""
        return [self.table.c.id, *([self.table.c.version] if "version" in self.table.c else [])]


@cache
def links() -> tuple[ClientColumn, ...]:
    """All links outside this context. Dependent tables come first, the usual lock order: callbacks before deals."""
    found = [
        ClientColumn(table, key.parent)
        for table in reversed(SQLModel.metadata.sorted_tables)
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if key.column.table.name == "contacts" and table.name not in OWN
    ]
    return tuple(found)


async def give_all(session: AsyncSession, from_id: int, into_id: int) -> Moved:
    """Move every row of ``from_id`` to ``into_id``. Flushes first; rows already loaded in the session are not refreshed."""
    await session.flush()
    moved: Moved = {}
    for link in links():
        change = update(link.table).where(link.column == from_id).values({link.column.name: into_id})
        rows = await fetch(session, change.returning(*link.columns))
        if rows:
            moved[link.name] = sorted([row[0], row[1] if len(row) > 1 else None] for row in rows)
    return moved


async def give(session: AsyncSession, link: ClientColumn, ids: Iterable[int], to: int | None) -> None:
    """Assign these rows to a client, or to none."""
    for some in _parts(sorted(ids)):
        change = update(link.table).where(link.table.c.id.in_(some)).values({link.column.name: to})
        await fetch(session, change.returning(link.table.c.id))


async def whose_now(
    session: AsyncSession, link: ClientColumn, ids: Iterable[int]
) -> dict[int, tuple[int | None, int | None]]:
    """Row id → (present client id, version); deleted rows are left out."""
    found: dict[int, tuple[int | None, int | None]] = {}
    for some in _parts(sorted(ids)):
        query = select(link.column, *link.columns).where(link.table.c.id.in_(some))
        for owner, row_id, *version in await fetch(session, query):
            found[row_id] = (owner, version[0] if version else None)
    return found


async def ids_of(session: AsyncSession, contact_id: int) -> dict[str, set[int]]:
    """Link name → ids of all rows that refer to the client."""
    return {
        link.name: {row[0] for row in await fetch(session, select(link.table.c.id).where(link.column == contact_id))}
        for link in links()
    }


async def highest_ids(session: AsyncSession) -> dict[str, int]:
    """Link name → highest id of its table; rows with a higher id are newer."""
    return {link.name: (await fetch(session, select(func.max(link.table.c.id))))[0][0] or 0 for link in links()}


async def newer_of(session: AsyncSession, link: ClientColumn, contact_id: int, than: int) -> list[int]:
    """Ids of the client's rows above ``than``, newest first."""
    query = select(link.table.c.id).where(link.column == contact_id, link.table.c.id > than)
    return [row[0] for row in await fetch(session, query.order_by(link.table.c.id.desc()))]


def ids_in(moved: Mapping[str, Sequence[Sequence[int | None]]]) -> dict[str, list[int]]:
    """Link name → ids, without the versions."""
    return {name: [row[0] for row in rows if row[0] is not None] for name, rows in moved.items()}


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
