"""Companies that may be one, merging them, and undoing it."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts.company_duplicates import (
    CompanyPair,
    list_company_duplicates,
    say_companies_differ,
    take_back_companies_differ,
)
from pbxcrm.contacts.company_merge_actions import merge_companies, undo_company_merge
from pbxcrm.contacts.company_merge_queries import access_company_merge, both_companies, company_changed_since
from pbxcrm.contacts.hooks import Left
from pbxcrm.contacts.models import CompanyMerge
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.relinking import SeenVersions
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, Id, ListQuery, Moment, Version
from web.api.resource import Ask, Page, Resource
from web.api.v1.merges import CommonValueOut, LeftOut, Which, WhichOrBoth

company_merges = Resource("company-merges", "Duplicate companies: finding, merging, and undoing a merge.")


class CompanyDuplicateOut(ApiAnswer):
    """Two companies that may be one, the older first."""

    company_id: int
    name: str
    other_id: int
    other_name: str
    same: list[CommonValueOut] = Field(
        description="What both have, the surest first: the key of the name, the domain of their clients' addresses, a number."
    )


class NewCompanyMerge(ApiRequest):
    """A field that is left out keeps the survivor's value, or takes the other's if the survivor has none; both notes, if they fit."""

    into_company_id: Id = Field(description="The id of the surviving company.")
    take_name: Which | None = None
    take_responsible: Which | None = None
    take_note: WhichOrBoth | None = None
    version: Version | None = Field(
        None, description="The version of the merged company that you saw; 409 for another one."
    )
    into_version: Version | None = Field(None, description="The version of the survivor that you saw.")


class DiffersFrom(ApiRequest):
    """The company that is not the one in the path."""

    other_company_id: Id


class CompanyMergeOut(ApiAnswer):
    """A merge of two companies, and what its undo leaves unchanged."""

    merge_id: int
    company_id: int = Field(description="The id of the merged company.")
    into_company_id: int = Field(description="The id of the survivor.")
    by: str | None = Field(description="A login.")
    at: Moment
    undone_at: Moment | None
    undone_by: str | None = Field(description="A login.")
    left: list[LeftOut] = Field(description="What the undo left unchanged; before an undo, what it would leave.")


@company_merges.get(
    "/companies/duplicates", needs=Permission.CONTACTS_READ, summary="Companies that may be one, the surest first"
)
async def read_company_duplicates(ask: Ask, query: ListQuery) -> Page[CompanyDuplicateOut]:
    """Pairs among the companies you see. Their names are spelled alike (in Latin or Cyrillic letters, with or without a legal form), or
    their clients share the domain of an address or a number. A page may be short though there are more: follow `next`.
    """
    after = checked_cursors.read_pair(query.cursor)
    pairs, place = await list_company_duplicates(ask.session, ask.viewer, after=after, limit=query.limit)
    return Page[CompanyDuplicateOut](
        items=[_pair(pair) for pair in pairs], next=checked_cursors.next_of_pair(place) if place is not None else None
    )


@company_merges.post(
    "/companies/{company_id}/merge",
    needs=Permission.CONTACTS_EDIT,
    summary="Merge a company into another",
    location=lambda merge: f"/company-merges/{merge.merge_id}",
    conflicts=True,
)
async def add_company_merge(ask: Ask, company_id: int, body: NewCompanyMerge) -> CompanyMergeOut:
    """Clients and deals become the survivor's, and so do fields that it lacks. You must be allowed to change both."""
    chosen = {"name": body.take_name, "responsible_id": body.take_responsible, "note": body.take_note}
    merge = await merge_companies(
        ask.session,
        ask.viewer,
        company_id,
        body.into_company_id,
        now=ask.now,
        chosen={field: choice for field, choice in chosen.items() if choice is not None},
        seen=SeenVersions(body.version, body.into_version),
    )
    return await _merge(ask, merge)


@company_merges.get(
    "/company-merges/{company_merge_id}", needs=Permission.CONTACTS_READ, summary="One merge of companies"
)
async def read_company_merge(ask: Ask, company_merge_id: int) -> CompanyMergeOut:
    return await _merge(ask, await access_company_merge(ask.session, ask.viewer, company_merge_id))


@company_merges.post(
    "/company-merges/{company_merge_id}/undo",
    needs=Permission.CONTACTS_EDIT,
    summary="Undo a merge of companies",
    status=200,
    conflicts=True,
)
async def undo(ask: Ask, company_merge_id: int) -> CompanyMergeOut:
    """Values that were changed since stay and are named in `left`. Permitted to whoever merged, whose either was, and their managers."""
    return await _merge(ask, await undo_company_merge(ask.session, ask.viewer, company_merge_id, now=ask.now))


@company_merges.post(
    "/companies/{company_id}/not-same",
    needs=Permission.CONTACTS_EDIT,
    summary="Say that two companies are not the same",
    status=204,
)
async def add_companies_differ(ask: Ask, company_id: int, body: DiffersFrom) -> None:
    """The pair is not suggested again."""
    await say_companies_differ(ask.session, ask.viewer, company_id, body.other_company_id, now=ask.now)


@company_merges.delete(
    "/companies/{company_id}/not-same/{other_company_id}",
    needs=Permission.CONTACTS_EDIT,
    summary="Suggest the pair of companies again",
)
async def remove_companies_differ(ask: Ask, company_id: int, other_company_id: int) -> None:
    await take_back_companies_differ(ask.session, ask.viewer, company_id, other_company_id, now=ask.now)


def _pair(pair: CompanyPair) -> CompanyDuplicateOut:
    return CompanyDuplicateOut(
        company_id=pair.low.id or 0,
        name=pair.low.name,
        other_id=pair.high.id or 0,
        other_name=pair.high.name,
        same=[CommonValueOut(kind=alike, value=value) for alike, value in pair.same],
    )


async def _merge(ask: Ask, merge: CompanyMerge) -> CompanyMergeOut:
    logins = await logins_of(ask.session, [merge.by_id, merge.undone_by_id])
    left = [Left.load(each) for each in merge.left]
    if merge.undone_at is None:
        left = await company_changed_since(ask.session, merge, (await both_companies(ask.session, merge))[1])
    return CompanyMergeOut(
        merge_id=merge.id or 0,
        company_id=merge.from_id,
        into_company_id=merge.into_id,
        by=logins.get(merge.by_id),
        at=merge.at,
        undone_at=merge.undone_at,
        undone_by=logins.get(merge.undone_by_id),
        left=[LeftOut(why=each.why, what=each.what, ids=list(each.ids)) for each in left],
    )
