"""Undoes a merge at any later time. Later edits are kept and listed, never overwritten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import number_unlinked
from pbxcrm.contacts.audience import audience_of_contact
from pbxcrm.contacts.hooks import Relinked, Unmerging, contacts_unmerging, rows_relinked
from pbxcrm.contacts.merge_actions import WayTable, lock_both, set_way, way_of, ways_of
from pbxcrm.contacts.merge_queries import CLIENTS, access_merge, changed_since, may_undo
from pbxcrm.contacts.merge_rules import CUSTOM, ContactPoint
from pbxcrm.contacts.models import Contact, Email, Merge, Phone
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_return_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.merges import Undoing
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.relinking import ids_in

_UNDOING: Undoing[Contact, Merge] = Undoing(
    lock=lock_both,
    lock_merge=lambda session, merge_id: lock_row(session, Merge, merge_id),
    load=lambda session, contact_id: session.get_one(Contact, contact_id),
    name=lambda client: client.name,
    codes="merges",
    word="client",
    merged_on=N_("{client} has itself been merged with {survivor} since. Undo that first."),
)


async def undo_merge(session: AsyncSession, viewer: Viewer, merge_id: int, *, now: datetime) -> Merge:
    """Whoever merged them may, whoever was responsible for either before, and who answers for them. Raises NotAllowed, NotFound, Conflict.

    Afterwards ``Merge.left`` lists what was not restored.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    merge = await access_merge(session, viewer, merge_id)
    people = await load_directory(session)
    both = await session.get_one(Contact, merge.from_id), await session.get_one(Contact, merge.into_id)
    is_allowed = may_undo(viewer, merge, *both, people)
    merge, this, into = await _UNDOING.begin(session, merge, is_allowed=is_allowed, by=people.name(merge.by_id))
    left = await changed_since(session, merge, into)
    audience = await audience_of_contact(session, into, people)
    parts = Unmerging(viewer, merge.from_id, merge.into_id, now, merge.parts)
    await contacts_unmerging(session, parts)
    await session.flush()
    rows = await CLIENTS.give_back(session, merge.moved, merge.into_id, merge.from_id)
    await number_unlinked(session, viewer, merge.into_id, ids_in(merge.adopted), now)
    await session.flush()
    await _part_ways(session, merge, Phone)
    await _part_ways(session, merge, Email)
    for field, (before, after) in merge.fields.items():
        if getattr(into, field) == after:
            setattr(into, field, before)
    await do_return_values(session, FieldEntity.CONTACT, into, merge.parts.get(CUSTOM, {}))
    this.merged_into_id = None
    this.version += 1
    into.version += 1
    merge.undone_at, merge.undone_by_id = now, viewer.user_id
    merge.left = [one.stored() for one in (*left, *parts.left)]
    await session.flush()
    for one in (this, into):
        record(
            session,
            now,
            "contact.unmerged",
            "contact",
            one.id,
            actor=viewer,
            merge=merge_id,
            from_id=this.id,
            into_id=into.id,
        )
        audience |= await audience_of_contact(session, one, people)
    for one in (this, into):
        emit(session, "contact", one.id, now, users=audience.users, roles=audience.roles)
    await rows_relinked(session, Relinked(rows, now, asked=True))
    return merge


async def _part_ways(session: AsyncSession, merge: Merge, table: WayTable) -> None:
    """Give back moved numbers or addresses, and recreate shared ones. What was removed since stays removed."""
    stored = merge.numbers if table is Phone else merge.emails
    theirs = {way_of(row).key: row for row in reversed(await ways_of(session, table, merge.into_id))}
    also = await _of_other_merges(session, merge, table)
    for one in stored:
        row = theirs.get(one["key"])
        if row is not None and not one["shared"] and one["key"] not in also:
            row.contact_id, row.is_main = merge.from_id, bool(one.get("main"))
        elif row is not None or one["shared"]:
            session.add(_new_row(table, merge.from_id, one))
        if row is not None and one.get("gave_kind") and row.kind == one["kind"]:
            row.kind = ""
        if row is not None and "survivors" in one:
            before, after = one["survivors"]
            if [way_of(row).extension, row.label] == after:
                set_way(row, ContactPoint(one["key"], *before))
    await session.flush()


async def _of_other_merges(session: AsyncSession, merge: Merge, table: WayTable) -> set[str]:
    """Keys that other clients merged into the same survivor also had, so the survivor keeps them."""
    found = await session.exec(
        select(Merge).where(Merge.into_id == merge.into_id, Merge.id != merge.id, col(Merge.undone_at).is_(None))
    )
    others: Sequence[Merge] = found.all()
    return {one["key"] for other in others for one in (other.numbers if table is Phone else other.emails)}


def _new_row(table: WayTable, contact_id: int, one: dict[str, Any]) -> Phone | Email:
    if table is Phone:
        since = datetime.fromisoformat(one["since"]) if "since" in one else None
        written, extension = one["written"], one["extension"]
        return Phone(
            contact_id=contact_id, number=written, extension=extension, label=one["label"], since=since, **_kind(one)
        )
    return Email(contact_id=contact_id, address=one["written"], label=one["label"], **_kind(one))


def _kind(one: dict[str, Any]) -> dict[str, Any]:
    """Merges of earlier versions have stored none."""
    return {"kind": one.get("kind", ""), "is_main": bool(one.get("main"))}
