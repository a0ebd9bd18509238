"""Clients who may be one person: they share a number, an e-mail address, or a name in any spelling.

The list follows the keys of these (``likely_pairs``): numbers first, then addresses, then names.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, func, literal_column, select
from sqlmodel import SQLModel, col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import SEES_EVERYTHING
from pbxcrm.audit.actions import record
from pbxcrm.contacts.access import editable_contacts, sees_little, visible_contacts
from pbxcrm.contacts.actions import check_editable
from pbxcrm.contacts.likely_pairs import GROUPS_AT_ONCE, SMALL_GROUP, Alike, Groups, PairCursor, PairWalk, pairs_in
from pbxcrm.contacts.models import Contact, NotSame, SpecialNumber
from pbxcrm.contacts.name_likeness import address_key, name_key
from pbxcrm.contacts.queries import ContactRow, access_contact, edits_contact, with_numbers
from pbxcrm.contacts.range_queries import load_ranges
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.errors import Invalid

SUGGESTED = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clients who may be one person, the older first; ``same``: what they have in common, never empty.

    ``edits``: whether the viewer may say that they are two people (``say_not_same``).
    """

    low: ContactRow
    high: ContactRow
    same: tuple[tuple[Alike, str], ...]
    edits: bool


_TABLES = SQLModel.metadata.tables
_KEYS: dict[Alike, tuple[Column[Any], Column[Any]]] = {
    Alike.NUMBER: (_TABLES["phones"].c.number, _TABLES["phones"].c.contact_id),
    Alike.EMAIL: (_TABLES["emails"].c.address_key, _TABLES["emails"].c.contact_id),
    Alike.NAME: (_TABLES["contacts"].c.name_key, _TABLES["contacts"].c.id),
}
_NOTHING: ColumnElement[str] = literal_column(
    "''"
)  # literal as in the index; with a parameter the index would not be used


async def list_duplicates(
    session: AsyncSession, viewer: Viewer, *, after: PairCursor | None = None, limit: int = 50
) -> tuple[list[Pair], PairCursor | None]:
    """Pairs among the visible clients, without those marked as different people, and the next cursor (None: the end)."""

    async def groups_of(alike: Alike, key: str, include: bool) -> Groups:
        return await _groups(session, viewer, alike, key, include=include)

    async def pairs_of(alike: Alike, groups: Mapping[str, Sequence[int]]) -> list[tuple[Pair, PairCursor]]:
        return await _pairs(session, viewer, alike, groups)

    return await PairWalk(list(Alike), groups_of, pairs_of).page(after, limit)


async def alike_to(
    session: AsyncSession,
    viewer: Viewer,
    *,
    name: str = "",
    numbers: Collection[str] = (),
    emails: Iterable[str] = (),
    without: int | None = None,
    limit: int = SUGGESTED,
) -> list[tuple[ContactRow, tuple[tuple[Alike, str], ...]]]:
    """Visible clients who may be the person typed (``numbers`` in normal form), with what they have in common, the surest first.

    ``without`` is the client being viewed; it is left out, and so are clients marked as different from it.
    """
    wanted = {
        Alike.NUMBER: sorted(set(numbers)),
        Alike.EMAIL: sorted({address_key(one) for one in emails if one.strip()}),
        Alike.NAME: [key] if (key := name_key(name)) else [],
    }
    same: dict[int, list[tuple[Alike, str]]] = {}
    apart = await _apart_from(session, without) if without is not None else set()
    for alike, keys in wanted.items():
        column, owner = _KEYS[alike]
        query = select(column, owner).where(column != _NOTHING, column.in_(keys)).limit(SMALL_GROUP * max(1, len(keys)))
        for key, contact_id in await fetch(session, query) if keys else ():
            if contact_id not in apart and (alike, key) not in same.setdefault(contact_id, []):
                same[contact_id].append((alike, key))
    seen = await session.exec(
        select_rows(Contact).where(col(Contact.id).in_(same), visible_contacts(viewer)).order_by(col(Contact.id))
    )
    rows = await with_numbers(session, list(seen.all()))
    rows.sort(key=lambda row: list(Alike).index(same[row.contact.id or 0][0][0]))
    return [(row, tuple(same[row.contact.id or 0])) for row in rows[:limit]]


async def say_not_same(session: AsyncSession, viewer: Viewer, one_id: int, other_id: int, *, now: datetime) -> None:
    """Mark two clients as different people, so that they are not suggested again. A repetition changes nothing.

    The viewer must see both and may change at least one. Raises NotAllowed, NotFound, and Invalid at ``other``.
    """
    if one_id == other_id:
        raise Invalid("other", "merges.same", "Choose another client: this is the same one.")
    low, high = sorted((one_id, other_id))
    await _check_pair(session, viewer, one_id, other_id)
    if await session.get(NotSame, (low, high)) is None:
        session.add(NotSame(low_id=low, high_id=high, by_id=viewer.user_id, at=now))
        record(session, now, "contact.not_same", "contact", one_id, actor=viewer, other=other_id)


async def take_back_not_same(
    session: AsyncSession, viewer: Viewer, one_id: int, other_id: int, *, now: datetime
) -> None:
    """Remove the mark of ``say_not_same``, under the same conditions."""
    await _check_pair(session, viewer, one_id, other_id)
    known = await session.get(NotSame, tuple(sorted((one_id, other_id))))
    if known is not None:
        await session.delete(known)
        record(session, now, "contact.may_be_same", "contact", one_id, actor=viewer, other=other_id)


async def _check_pair(session: AsyncSession, viewer: Viewer, one_id: int, other_id: int) -> None:
    check(viewer, Permission.CONTACTS_EDIT)
    one = await access_contact(session, viewer, one_id)
    await access_contact(session, viewer, other_id, field="other")
    if not (await edits_contact(session, viewer, one_id) or await edits_contact(session, viewer, other_id)):
        await check_editable(session, viewer, one)


async def _groups(session: AsyncSession, viewer: Viewer, alike: Alike, after: str, *, include: bool) -> Groups:
    """The next keys shared by several visible clients, with the ids of these clients."""
    column, owner = _KEYS[alike]
    seen: list[ColumnElement[bool]] = []
    if viewer.role not in SEES_EVERYTHING or alike is Alike.NAME:
        visible = visible_contacts(viewer, little=await sees_little(session, viewer))
        seen.append(visible if alike is Alike.NAME else owner.in_(select(col(Contact.id)).where(visible)))
    behind = column >= after if include else column > after
    several = (
        select(column)
        .where(column != _NOTHING, behind, *seen)
        .group_by(column)
        .having(func.count(owner.distinct()) > 1)
    )
    keys = [row[0] for row in await fetch(session, several.order_by(column).limit(GROUPS_AT_ONCE))]
    groups: dict[str, list[int]] = {key: [] for key in keys}
    members = select(column, owner).where(column != _NOTHING, column.in_(keys), *seen).order_by(owner).distinct()
    for key, contact_id in await fetch(session, members) if keys else ():
        groups[key].append(contact_id)
    # The keys are sorted by the database's collation.
    return Groups(groups, keys[-1] if len(keys) == GROUPS_AT_ONCE else None)


async def _pairs(
    session: AsyncSession, viewer: Viewer, alike: Alike, groups: Mapping[str, Sequence[int]]
) -> list[tuple[Pair, PairCursor]]:
    """Each pair of the groups once, under the surest value they share; in the order of the list."""
    nobodys: set[str] = await nobodys_numbers(session, groups) if alike is Alike.NUMBER else set()
    asked = pairs_in(alike, {key: members for key, members in groups.items() if key not in nobodys})
    apart = await _apart(session, asked)
    asked = [place for place in asked if (place.low_id, place.high_id) not in apart]
    ids = {one for place in asked for one in (place.low_id, place.high_id)}
    contacts = await session.exec(select_rows(Contact).where(col(Contact.id).in_(ids)))
    rows = {row.contact.id or 0: row for row in await with_numbers(session, list(contacts.all()))}
    editable = select_rows(Contact.id).where(col(Contact.id).in_(ids), editable_contacts(viewer))
    edits = set((await session.exec(editable)).all())
    found: list[tuple[Pair, PairCursor]] = []
    for place in asked:
        low, high = rows[place.low_id], rows[place.high_id]
        same = in_common(low, high)
        if same and same[0] == (alike, place.key):
            found.append((Pair(low, high, same, not edits.isdisjoint({place.low_id, place.high_id})), place))
    return found


def in_common(one: ContactRow, other: ContactRow) -> tuple[tuple[Alike, str], ...]:
    """What both clients have. One number with two different extensions belongs to two people of one office."""
    extensions = {phone.number: phone.extension for phone in other.phones}
    numbers = sorted(
        {
            phone.number
            for phone in one.phones
            if (phone.number in extensions and phone.extension in {"", extensions[phone.number]})
            or (phone.number in extensions and not extensions[phone.number])
        }
    )
    emails = sorted({email.address_key for email in one.emails} & {email.address_key for email in other.emails})
    same = [*((Alike.NUMBER, number) for number in numbers), *((Alike.EMAIL, address) for address in emails)]
    if one.contact.name_key and one.contact.name_key == other.contact.name_key:
        same.append((Alike.NAME, one.contact.name_key))
    return tuple(same)


async def nobodys_numbers(session: AsyncSession, numbers: Iterable[str]) -> set[str]:
    """Those of the numbers that are our own or not clients; sharing one proves nothing."""
    listed = select_rows(SpecialNumber.number).where(col(SpecialNumber.number).in_(list(numbers)))
    ranges = await load_ranges(session)
    in_range = {number for number in numbers if any(each.holds(number) for each in ranges)}
    return {*(await session.exec(listed)).all(), *in_range}


async def _apart(session: AsyncSession, places: Sequence[PairCursor]) -> set[tuple[int, int]]:
    lows = sorted({place.low_id for place in places})
    found = await session.exec(select_rows(NotSame.low_id, NotSame.high_id).where(col(NotSame.low_id).in_(lows)))
    return {(low, high) for low, high in found.all()}


async def _apart_from(session: AsyncSession, contact_id: int) -> set[int]:
    """Ids of the client and of those marked as different from it."""
    found = await session.exec(
        select_rows(NotSame).where((col(NotSame.low_id) == contact_id) | (col(NotSame.high_id) == contact_id))
    )
    return {contact_id, *(one for row in found.all() for one in (row.low_id, row.high_id))}
