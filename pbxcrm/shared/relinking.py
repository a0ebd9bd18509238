"""Moves the rows that refer to one row (a client, a deal) to another, in every table with a foreign key to it, in any context.

The tables are found by their foreign keys, so a table that is added later is included without a change here. It needs an
``id`` and no unique constraint on that column (a test checks this). Tables that need a decision are handled by the context itself
(``Relinking.own``) or by a function that an upper context registers for its hook.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Column, Table, func, select, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.core_sql import fetch

AT_ONCE = 500  # ids in one statement

Moved = dict[str, list[list[int | None]]]  # "deals.contact_id" -> [[id, version at that time or None], …]


#: After this time, rows that others were writing for the merged row during the merge are moved too.
SETTLE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SeenVersions:
    """The versions of the two rows that the user saw before merging them; None: any."""

    this: int | None = None
    into: int | None = None


ANY_VERSIONS = SeenVersions()


@dataclass(frozen=True, slots=True)
class ForeignKeyLink:
    """A column that refers to the row."""

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


@dataclass(frozen=True, slots=True)
class Since:
    """What happened to the rows of one link since a merge: ids of those edited, given to others, and newer than the merge."""

    link: ForeignKeyLink
    edited: tuple[int, ...]
    elsewhere: tuple[int, ...]
    newer: tuple[int, ...]


class Relinking:
    """The links to the rows of table ``target``. ``own``: tables that a merge does not move here."""

    def __init__(self, target: str, own: frozenset[str]) -> None:
        self.target, self.own = target, own

    @cached_property
    def links(self) -> tuple[ForeignKeyLink, ...]:
        """All links but those of ``own``. Dependent tables come first, the usual lock order: callbacks before deals."""
        found = [
            ForeignKeyLink(table, key.parent)
            for table in reversed(SQLModel.metadata.sorted_tables)
            for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
            if key.column.table.name == self.target and table.name not in self.own
        ]
        return tuple(found)

    async def give_all(self, session: AsyncSession, from_id: int, into_id: int) -> Moved:
        """Move every row of ``from_id`` to ``into_id``. Flushes first; rows already loaded in the session are not refreshed."""
        await session.flush()
        moved: Moved = {}
        for link in self.links:
            change = update(link.table).where(link.column == from_id).values({link.column.name: into_id})
            rows = await fetch(session, change.returning(*link.columns))
            if rows:
                moved[link.name] = sorted([row[0], row[1] if len(row) > 1 else None] for row in rows)
        return moved

    async def give_back(
        self, session: AsyncSession, moved: Moved, from_id: int, to: int | None
    ) -> dict[str, list[int]]:
        """Assign those of ``moved`` that ``from_id`` still has to ``to``, or to none. Returns their ids by link."""
        given: dict[str, list[int]] = {}
        ids = ids_in(moved)
        for link in self.links:
            now = await whose_now(session, link, ids.get(link.name, []))
            back = [row_id for row_id, (owner, _) in now.items() if owner == from_id]
            await give(session, link, back, to)
            given[link.name] = back
        return given

    async def since(
        self, session: AsyncSession, moved: Moved, adopted: Moved, marks: Mapping[str, int], into_id: int
    ) -> list[Since]:
        """What an undo would not restore: rows that were edited or given away since, and those that are newer."""
        found: list[Since] = []
        for link in self.links:
            then = {row[0]: row[1] for row in moved.get(link.name, []) if row[0] is not None}
            now = await whose_now(session, link, then)
            known = {*then, *(row[0] for row in adopted.get(link.name, []))}
            newer = await newer_of(session, link, into_id, marks.get(link.name, 0))
            edited = [one for one, (who, version) in now.items() if who == into_id and version != then[one]]
            elsewhere = [one for one, (who, _) in now.items() if who != into_id]
            new = tuple(one for one in newer if one not in known)
            found.append(Since(link, tuple(edited), tuple(elsewhere), new))
        return found

    async def ids_of(self, session: AsyncSession, row_id: int) -> dict[str, set[int]]:
        """ForeignKeyLink name → ids of all rows that refer to the row."""
        return {
            link.name: {row[0] for row in await fetch(session, select(link.table.c.id).where(link.column == row_id))}
            for link in self.links
        }

    async def highest_ids(self, session: AsyncSession) -> dict[str, int]:
        """ForeignKeyLink name → highest id of its table; rows with a higher id are newer."""
        return {link.name: (await fetch(session, select(func.max(link.table.c.id))))[0][0] or 0 for link in self.links}


async def give(session: AsyncSession, link: ForeignKeyLink, ids: Iterable[int], to: int | None) -> None:
    """Assign these rows to another one, or to none."""
    for some in _parts(sorted(ids)):
        change = update(link.table).where(link.table.c.id.in_(some)).values({link.column.name: to})
        await fetch(session, change.returning(link.table.c.id))


async def whose_now(
    session: AsyncSession, link: ForeignKeyLink, ids: Iterable[int]
) -> dict[int, tuple[int | None, int | None]]:
    """Row id → (the id that it refers to now, version); deleted rows are left out."""
    found: dict[int, tuple[int | None, int | None]] = {}
    for some in _parts(sorted(ids)):
        query = select(link.column, *link.columns).where(link.table.c.id.in_(some))
        for owner, row_id, *version in await fetch(session, query):
            found[row_id] = (owner, version[0] if version else None)
    return found


async def newer_of(session: AsyncSession, link: ForeignKeyLink, row_id: int, than: int) -> list[int]:
    """Ids of the rows that refer to ``row_id`` above ``than``, newest first."""
    query = select(link.table.c.id).where(link.column == row_id, link.table.c.id > than)
    return [row[0] for row in await fetch(session, query.order_by(link.table.c.id.desc()))]


def ids_in(moved: Mapping[str, Sequence[Sequence[int | None]]]) -> dict[str, list[int]]:
    """ForeignKeyLink name → ids, without the versions."""
    return {name: [row[0] for row in rows if row[0] is not None] for name, rows in moved.items()}


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
