"""Merges two clients who are one person into one, without losing anything of either.

The merged client stays as a row with all its fields; ``merged_into_id`` is the survivor. Its URL leads to the survivor, and all
searches leave it out. All rows that refer to it (deals, tasks, calls, callbacks, notes …) refer to the survivor from then on.
``Merge`` stores each row, so that the merge can be undone, even a month later (``unmerge_actions``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import check_editable, number_linked
from pbxcrm.contacts.audience import audience_of_contact
from pbxcrm.contacts.hooks import Merging, Relinked, contacts_merging, rows_relinked
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.contacts.merge_rules import COLUMNS, CUSTOM, ContactPoint, choose, merged_meanwhile, shared_way
from pbxcrm.contacts.models import Contact, Email, Merge, Phone
from pbxcrm.contacts.queries import access_contact
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_adopt_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.merges import move_late_rows
from pbxcrm.shared.relinking import ANY_VERSIONS, SETTLE_AFTER, Moved, SeenVersions, ids_in
from pbxcrm.shared.timers import set_timer

SETTLE = "contacts.settle_merge"

WayTable = type[Phone] | type[Email]


async def merge_contacts(
    session: AsyncSession,
    viewer: Viewer,
    contact_id: int,
    into_id: int,
    *,
    now: datetime,
    chosen: Mapping[str, str] = {},
    seen: SeenVersions = ANY_VERSIONS,
    asked: bool = False,
) -> Merge:
    """Merge ``contact_id`` into ``into_id``; ``chosen`` says per field ``this``, ``into`` or, for the note, ``both``. ``asked``: a person
    saw which open deals both have in one pipeline; if not, a task says it.

    Raises NotAllowed if the viewer may not change both, Conflict if somebody changed or merged one meanwhile, Invalid, NotFound.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    if contact_id == into_id:
        raise Invalid("into", "merges.same", "Choose another client: this is the same one.")
    for one, field in ((contact_id, ""), (into_id, "into")):
        found = await access_contact(session, viewer, one, field=field)
        if found.id != one:
            raise merged_meanwhile()
        await check_editable(session, viewer, found)
    this, into = await lock_both(session, contact_id, into_id)
    for contact, version in ((this, seen.this), (into, seen.into)):
        if contact.merged_into_id is not None:
            raise merged_meanwhile()
        if version is not None and contact.version != version:
            raise Conflict("merges.stale", "Somebody changed one of the two meanwhile. Look at both again.")
    taken = choose(values_of(this), values_of(into), chosen)
    merge = Merge(from_id=contact_id, into_id=into_id, by_id=viewer.user_id, at=now, fields=taken)
    merge.marks = await CLIENTS.highest_ids(session)
    alone = await _only_theirs(session, contact_id, into_id)
    kept: dict[str, Any] = {}
    await contacts_merging(session, Merging(viewer, contact_id, into_id, into.name, alone, now, kept))
    audience = await audience_of_contact(session, this, await load_directory(session))
    merge.moved = await CLIENTS.give_all(session, contact_id, into_id)
    merge.numbers = await _merge_ways(session, Phone, this, into)
    merge.emails = await _merge_ways(session, Email, this, into)
    for field, (_, after) in taken.items():
        setattr(into, field, after)
    kept[CUSTOM] = await do_adopt_values(session, FieldEntity.CONTACT, into, this.custom)
    this.merged_into_id = into_id
    this.version += 1
    into.version += 1
    merge.adopted, merge.parts = await _adopt(session, viewer, into_id, alone, now), kept
    session.add(merge)
    await session.flush()
    await set_timer(session, SETTLE, f"{SETTLE}:{merge.id}", now + SETTLE_AFTER, {"merge": merge.id})
    for one in (contact_id, into_id):
        record(
            session,
            now,
            "contact.merged",
            "contact",
            one,
            actor=viewer,
            merge=merge.id,
            from_id=contact_id,
            into_id=into_id,
        )
    audience |= await audience_of_contact(session, into, await load_directory(session))
    for one in (contact_id, into_id):
        emit(session, "contact", one, now, users=audience.users, roles=audience.roles)
    await rows_relinked(session, Relinked(ids_in(merge.moved), now, asked=asked))
    return merge


async def settle_merge(session: AsyncSession, merge_id: int, now: datetime) -> None:
    """Move rows that were written for the merged client during the merge. A repetition changes nothing."""
    moved = await move_late_rows(session, Merge, Contact, CLIENTS, merge_id)
    if moved is not None:
        await rows_relinked(session, Relinked(ids_in(moved[0]), now, asked=False))


def values_of(contact: Contact) -> dict[str, Any]:
    """The client's fields of which a merge chooses one, and what comes with them."""
    return {field: getattr(contact, field) for field in COLUMNS}


def way_of(row: Phone | Email) -> ContactPoint:
    """The value of a row that the merge rules compare."""
    if isinstance(row, Phone):
        return ContactPoint(row.number, row.extension, row.label)
    return ContactPoint(row.address_key, "", row.label)


async def ways_of(session: AsyncSession, table: WayTable, contact_id: int) -> Sequence[Phone | Email]:
    """The phone or e-mail rows of a client, oldest first."""
    found = await session.exec(select(table).where(table.contact_id == contact_id).order_by(col(table.id)))
    return [row for row in found.all() if isinstance(row, Phone | Email)]


async def lock_both(session: AsyncSession, *contact_ids: int) -> list[Contact]:
    """Lock the clients, first their numbers, as the listener does, and return their current rows in the given order.

    A stronger lock than ``lock_row``: it waits for transactions that add rows referring to them, so that these move too.
    Raises Conflict if their numbers changed meanwhile.
    """
    await session.flush()
    numbers = await _numbers(session, contact_ids)
    await lock_all(session, [f"client:{number}" for number in numbers])
    rows = {
        one: await session.get_one(Contact, one, with_for_update=True, populate_existing=True)
        for one in sorted(contact_ids)
    }
    if await _numbers(session, contact_ids) - numbers:
        raise Conflict("merges.stale", "Somebody changed one of the two meanwhile. Look at both again.")
    return [rows[one] for one in contact_ids]


async def _numbers(session: AsyncSession, contact_ids: Sequence[int]) -> set[str]:
    return set((await session.exec(select(Phone.number).where(col(Phone.contact_id).in_(contact_ids)))).all())


async def _only_theirs(session: AsyncSession, from_id: int, into_id: int) -> list[str]:
    """Numbers that exactly these two clients have: after the merge only the survivor has them."""
    found = await session.exec(
        select(Phone.number, Phone.contact_id).where(col(Phone.number).in_(await _numbers(session, [from_id, into_id])))
    )
    holders: dict[str, set[int]] = {}
    for number, contact_id in found.all():
        holders.setdefault(number, set()).add(contact_id)
    return sorted(number for number, who in holders.items() if who == {from_id, into_id})


async def _merge_ways(session: AsyncSession, table: WayTable, this: Contact, into: Contact) -> list[dict[str, Any]]:
    """Move rows the survivor lacks; of duplicates keep the survivor's. Returns all the other had, as ``Merge`` stores it."""
    mine, known = await ways_of(session, table, this.id or 0), await ways_of(session, table, into.id or 0)
    theirs = {way_of(row).key: row for row in reversed(known)}
    stored: list[dict[str, Any]] = []
    for row in mine:
        way, same = way_of(row), theirs.get(way_of(row).key)
        written = row.number if isinstance(row, Phone) else row.address
        told: dict[str, Any] = {
            "key": way.key,
            "written": written,
            "extension": way.extension,
            "label": way.label,
            "kind": row.kind,
        }
        if row.is_main:
            told["main"] = True
            row.is_main = not known  # the survivor's main one stays so
        stored.append({**told, "shared": same is not None})
        if isinstance(row, Phone):
            row.since = row.since or this.created_at
            stored[-1]["since"] = row.since.isoformat()
        if same is None:
            row.contact_id = into.id or 0
            continue
        before = way_of(same)
        after = shared_way(way, before)
        if after != before:
            set_way(same, after)
            stored[-1]["survivors"] = [[before.extension, before.label], [after.extension, after.label]]
        if row.kind and not same.kind:
            same.kind, stored[-1]["gave_kind"] = row.kind, True
        if isinstance(row, Phone) and isinstance(same, Phone):
            same.since = min(same.since or into.created_at, row.since or this.created_at)
        await session.delete(row)
    await session.flush()
    return stored


def set_way(row: Phone | Email, way: ContactPoint) -> None:
    """Write label and extension of ``way`` into its row; an address has no extension."""
    row.label = way.label
    if isinstance(row, Phone):
        row.extension = way.extension


async def _adopt(session: AsyncSession, viewer: Viewer, into_id: int, numbers: Sequence[str], now: datetime) -> Moved:
    """Give the survivor the rows of these numbers that had no client because the number was ambiguous."""
    if not numbers:
        return {}
    await session.flush()
    before = await CLIENTS.ids_of(session, into_id)
    for number in numbers:
        await number_linked(session, viewer, into_id, number, now)
    await session.flush()
    after = await CLIENTS.ids_of(session, into_id)
    return {
        name: [[row_id, None] for row_id in sorted(ids - before[name])]
        for name, ids in after.items()
        if ids - before[name]
    }
