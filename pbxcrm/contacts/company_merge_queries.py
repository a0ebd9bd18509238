"""Queries on merges of companies: who sees one, and what an undo would not restore."""

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, answers_for
from pbxcrm.contacts.access import visible_companies
from pbxcrm.contacts.hooks import Left, Why, left_since
from pbxcrm.contacts.merge_queries import responsible_before
from pbxcrm.contacts.merge_rules import CUSTOM
from pbxcrm.contacts.models import Company, CompanyMerge
from pbxcrm.contacts.queries import survivor_of
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import names_of_changed
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.relinking import Relinking

#: Everything that refers to a company.
COMPANIES = Relinking("companies", frozenset({"companies", "company_merges", "not_same_companies"}))


async def both_companies(session: AsyncSession, merge: CompanyMerge) -> tuple[Company, Company]:
    """The merged company and the one it was merged into."""
    found = await load_by_id(session, Company, [merge.from_id, merge.into_id])
    return found[merge.from_id], found[merge.into_id]


async def access_company_merge(session: AsyncSession, viewer: Viewer, merge_id: int) -> CompanyMerge:
    """A merge of a company that the viewer sees, of one that was theirs, or that they made. Raises NotFound."""
    merge = await session.get(CompanyMerge, merge_id)
    if merge is None or not await _sees(session, viewer, merge):
        raise NotFound("company_merges.not_found", "There is no such merge, or it is of a colleague's companies.")
    return merge


async def _sees(session: AsyncSession, viewer: Viewer, merge: CompanyMerge) -> bool:
    people = await load_directory(session)
    before = responsible_before(merge, *await both_companies(session, merge))
    if merge.by_id == viewer.user_id or any(answers_for(viewer, one, people) for one in before):
        return True
    survivor = await survivor_of(session, merge.into_id, Company) or merge.into_id
    one_of_both = or_(col(Company.id) == survivor, col(Company.id) == merge.from_id)
    return (await session.exec(select(Company.id).where(one_of_both, visible_companies(viewer)))).first() is not None


async def company_changed_since(session: AsyncSession, merge: CompanyMerge, into: Company) -> list[Left]:
    """What an undo would not restore: values edited and rows reassigned since, and rows newer than the merge."""
    left = [Left(Why.FIELD, field) for field, (_, after) in merge.fields.items() if getattr(into, field) != after]
    changed = await names_of_changed(session, FieldEntity.COMPANY, into, merge.parts.get(CUSTOM, {}))
    left += [Left(Why.FIELD, f"{CUSTOM}.{name}") for name in changed]
    return left + left_since(await COMPANIES.since(session, merge.moved, {}, merge.marks, merge.into_id))


async def open_merges_of_company(session: AsyncSession, company_id: int) -> list[CompanyMerge]:
    """The merges into this company that were not undone, newest first."""
    found = await session.exec(
        select(CompanyMerge)
        .where(CompanyMerge.into_id == company_id, col(CompanyMerge.undone_at).is_(None))
        .order_by(col(CompanyMerge.id).desc())
    )
    return list(found.all())
