"""Queries on merges of clients: who may undo one, and what an undo would not restore."""

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, answers_for, can, decides_for, leads
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.hooks import Left, Why, left_since
from pbxcrm.contacts.merge_rules import CUSTOM
from pbxcrm.contacts.models import Company, CompanyMerge, Contact, Email, Merge, Phone
from pbxcrm.contacts.queries import survivor_of
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import names_of_changed
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.relinking import Relinking

#: Everything that refers to a client; the tables of this context are handled by its merge.
CLIENTS = Relinking("contacts", frozenset({"contacts", "phones", "emails", "merges", "not_same"}))


async def access_merge(session: AsyncSession, viewer: Viewer, merge_id: int) -> Merge:
    """A merge of a client whom the viewer sees, of one who was theirs, or that they made. Raises NotFound."""
    merge = await session.get(Merge, merge_id)
    if merge is not None and not await _had_one(session, viewer, merge):
        survivor = await survivor_of(session, merge.into_id) or merge.into_id
        seen = select(Contact.id).where(
            or_(col(Contact.id) == survivor, col(Contact.id) == merge.from_id), visible_contacts(viewer)
        )
        if (await session.exec(seen)).first() is None:
            merge = None
    if merge is None:
        raise NotFound("merges.not_found", "There is no such merge, or it is of a colleague's clients.")
    return merge


async def _had_one(session: AsyncSession, viewer: Viewer, merge: Merge) -> bool:
    """Whether the viewer made the merge or answers for whoever was responsible for one of the two before."""
    if merge.by_id == viewer.user_id:
        return True
    people = await load_directory(session)
    this, into = await session.get_one(Contact, merge.from_id), await session.get_one(Contact, merge.into_id)
    return any(answers_for(viewer, one, people) for one in responsible_before(merge, this, into))


def responsible_before(merge: Merge | CompanyMerge, this: Contact | Company, into: Contact | Company) -> set[int]:
    """Who was responsible for either of the two before they were merged; ``this`` is the one who was merged."""
    before = merge.fields["responsible_id"][0] if "responsible_id" in merge.fields else into.responsible_id
    return {one for one in (this.responsible_id, before) if one is not None}


def may_undo(
    viewer: Viewer, merge: Merge | CompanyMerge, this: Contact | Company, into: Contact | Company, people: Directory
) -> bool:
    """Whoever merged them, and whoever was responsible for either before; a manager of theirs, or of whoever is responsible now."""
    if not can(viewer, Permission.CONTACTS_EDIT):
        return False
    if any(decides_for(viewer, one, people) for one in responsible_before(merge, this, into)):
        return True
    return merge.by_id == viewer.user_id or (
        leads(viewer.role)
        and (decides_for(viewer, merge.by_id, people) or decides_for(viewer, into.responsible_id, people))
    )


async def changed_since(session: AsyncSession, merge: Merge, into: Contact) -> list[Left]:
    """What an undo would not restore: values edited, reassigned or removed since, and rows newer than the merge."""
    left = [Left(Why.FIELD, field) for field, (_, after) in merge.fields.items() if getattr(into, field) != after]
    changed = await names_of_changed(session, FieldEntity.CONTACT, into, merge.parts.get(CUSTOM, {}))
    left += [Left(Why.FIELD, f"{CUSTOM}.{name}") for name in changed]
    left += await _ways_since(session, merge)
    left += left_since(await CLIENTS.since(session, merge.moved, merge.adopted, merge.marks, merge.into_id))
    return left


async def _ways_since(session: AsyncSession, merge: Merge) -> list[Left]:
    """Numbers and addresses that were moved and that the survivor no longer has."""
    has: set[str] = set()
    for column, owner in ((Phone.number, Phone.contact_id), (Email.address_key, Email.contact_id)):
        has |= set((await session.exec(select(column).where(owner == merge.into_id))).all())
    gone = [one for one in (*merge.numbers, *merge.emails) if not one["shared"] and one["key"] not in has]
    return [Left(Why.NUMBER_GONE, one["written"]) for one in gone]
