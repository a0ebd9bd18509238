"""Merges two companies that are one, and undoes it a month later, as of clients (``merge_actions``): nothing of either is lost.

The merged company stays as a row with all its fields; its URL leads to the survivor, and all lists leave it out. Its clients and
deals are the survivor's from then on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import Audience
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import check_company_editable
from pbxcrm.contacts.audience import audience_of_company
from pbxcrm.contacts.company_merge_queries import (
    COMPANIES,
    access_company_merge,
    both_companies,
    company_changed_since,
)
from pbxcrm.contacts.hooks import Relinked, rows_relinked
from pbxcrm.contacts.merge_queries import may_undo
from pbxcrm.contacts.merge_rules import COMPANY_FIELDS, CUSTOM, choose, company_merged_meanwhile
from pbxcrm.contacts.models import Company, CompanyMerge
from pbxcrm.contacts.queries import access_company
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_adopt_values, do_return_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.merges import Undoing, move_late_rows
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.relinking import ANY_VERSIONS, SETTLE_AFTER, SeenVersions, ids_in
from pbxcrm.shared.timers import set_timer

SETTLE = "contacts.settle_company_merge"


async def merge_companies(
    session: AsyncSession,
    viewer: Viewer,
    company_id: int,
    into_id: int,
    *,
    now: datetime,
    chosen: Mapping[str, str] = {},
    seen: SeenVersions = ANY_VERSIONS,
) -> CompanyMerge:
    """Merge ``company_id`` into ``into_id``; ``chosen`` says per field ``this``, ``into`` or, for the note, ``both``.

    Raises NotAllowed if the viewer may not change both, Conflict if somebody changed or merged one meanwhile, Invalid, NotFound.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    if company_id == into_id:
        raise Invalid("into_company", "company_merges.same", "Choose another company: this is the same one.")
    for one, field in ((company_id, ""), (into_id, "into_company")):
        found = await access_company(session, viewer, one, field=field)
        if found.id != one:
            raise company_merged_meanwhile()
        await check_company_editable(session, viewer, found)
    this, into = await _lock_both(session, company_id, into_id)
    for company, version in ((this, seen.this), (into, seen.into)):
        if company.merged_into_id is not None:
            raise company_merged_meanwhile()
        if version is not None and company.version != version:
            raise Conflict("merges.stale", "Somebody changed one of the two meanwhile. Look at both again.")
    taken = choose(company_values(this), company_values(into), chosen, COMPANY_FIELDS)
    merge = CompanyMerge(from_id=company_id, into_id=into_id, by_id=viewer.user_id, at=now, fields=taken)
    merge.marks = await COMPANIES.highest_ids(session)
    audience = await audience_of_company(session, this, await load_directory(session))
    merge.moved = await COMPANIES.give_all(session, company_id, into_id)
    for field, (_, after) in taken.items():
        setattr(into, field, after)
    merge.parts = {CUSTOM: await do_adopt_values(session, FieldEntity.COMPANY, into, this.custom)}
    this.merged_into_id = into_id
    session.add(merge)
    await session.flush()
    await set_timer(session, SETTLE, f"{SETTLE}:{merge.id}", now + SETTLE_AFTER, {"merge": merge.id})
    await _said(session, viewer, "company.merged", merge, this, into, audience, now)
    await rows_relinked(session, Relinked(ids_in(merge.moved), now, asked=True))
    return merge


async def settle_company_merge(session: AsyncSession, merge_id: int, now: datetime) -> None:
    """Move rows that were written for the merged company during the merge. A repetition changes nothing."""
    moved = await move_late_rows(session, CompanyMerge, Company, COMPANIES, merge_id)
    if moved is not None:
        await rows_relinked(session, Relinked(ids_in(moved[0]), now, asked=False))


async def undo_company_merge(session: AsyncSession, viewer: Viewer, merge_id: int, *, now: datetime) -> CompanyMerge:
    """Whoever merged them may, whoever was responsible for either before, and who answers for them. Raises NotAllowed, NotFound, Conflict.

    Later edits are kept; afterwards ``CompanyMerge.left`` lists what was not restored.
    """
    check(viewer, Permission.CONTACTS_EDIT)
    merge = await access_company_merge(session, viewer, merge_id)
    people = await load_directory(session)
    is_allowed = may_undo(viewer, merge, *await both_companies(session, merge), people)
    merge, this, into = await _UNDOING.begin(session, merge, is_allowed=is_allowed, by=people.name(merge.by_id))
    left = await company_changed_since(session, merge, into)
    audience = await audience_of_company(session, into, people)
    rows = await COMPANIES.give_back(session, merge.moved, merge.into_id, merge.from_id)
    for field, (before, after) in merge.fields.items():
        if getattr(into, field) == after:
            setattr(into, field, before)
    await do_return_values(session, FieldEntity.COMPANY, into, merge.parts.get(CUSTOM, {}))
    this.merged_into_id = None
    merge.undone_at, merge.undone_by_id = now, viewer.user_id
    merge.left = [one.stored() for one in left]
    await session.flush()
    await _said(session, viewer, "company.unmerged", merge, this, into, audience, now)
    await rows_relinked(session, Relinked(rows, now, asked=True))
    return merge


def company_values(company: Company) -> dict[str, Any]:
    """The company's fields of which a merge chooses one."""
    return {field: getattr(company, field) for field in COMPANY_FIELDS}


async def _said(
    session: AsyncSession,
    viewer: Viewer,
    action: str,
    merge: CompanyMerge,
    this: Company,
    into: Company,
    audience: Audience,
    now: datetime,
) -> None:
    """Keep what was done in the audit log of both, and notify everybody who saw or sees one of them."""
    for company in (this, into):
        company.version += 1
        record(
            session,
            now,
            action,
            "company",
            company.id,
            actor=viewer,
            merge=merge.id,
            from_id=this.id,
            into_id=into.id,
            name=(this if company is into else into).name,
        )
        audience |= await audience_of_company(session, company, await load_directory(session))
    for company in (this, into):
        emit(session, "company", company.id, now, users=audience.users, roles=audience.roles)


async def _lock_both(session: AsyncSession, *company_ids: int) -> list[Company]:
    """Lock the companies and return their current rows in the given order.

    A stronger lock than ``lock_row``: it waits for transactions that add rows referring to them, so that these move too.
    """
    await session.flush()
    rows = {
        one: await session.get_one(Company, one, with_for_update=True, populate_existing=True)
        for one in sorted(company_ids)
    }
    return [rows[one] for one in company_ids]


_UNDOING: Undoing[Company, CompanyMerge] = Undoing(
    lock=_lock_both,
    lock_merge=lambda session, merge_id: lock_row(session, CompanyMerge, merge_id),
    load=lambda session, company_id: session.get_one(Company, company_id),
    name=lambda company: company.name,
    codes="company_merges",
    word="company",
    merged_on=N_("“{company}” has itself been merged into “{survivor}” since. Undo that first."),
)
