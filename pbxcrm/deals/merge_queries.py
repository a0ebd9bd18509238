"""Queries on merges of deals: a client's other open deals, who may undo a merge, and what an undo would not restore."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, answers_for, can, decides_for
from pbxcrm.access.owners import gathered
from pbxcrm.contacts.hooks import Left, Why, left_since
from pbxcrm.contacts.models import Phone
from pbxcrm.deals.access import edits_deal, visible_deals
from pbxcrm.deals.merge_rules import CUSTOM, Wanted, is_same_client, plain
from pbxcrm.deals.models import Deal, DealMerge, DealTag
from pbxcrm.deals.queries import DealRow, as_rows, survivor_of_deal
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import names_of_changed
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.relinking import Relinking

#: Everything that moves with a merged deal. The others stay with its row: its history of stages, lamps and pauses.
DEALS = Relinking(
    "deals",
    frozenset(
        {"deals", "deal_merges", "deal_tags", "bulk_changes", "stage_moves", "lamps", "pauses", "deal_discounts"}
    ),
)
MOST_OFFERED = 20
MOST_READ = 500


@dataclass(frozen=True, slots=True)
class OtherDeals:
    """The other open deals of the client of a deal. ``rows``: those that the viewer sees; ``owners``: ids of whose the others are."""

    rows: list[DealRow]
    owners: list[int | None]

    def __bool__(self) -> bool:
        return bool(self.rows or self.owners)


async def other_open_deals(
    session: AsyncSession, viewer: Viewer, deal: Deal | Wanted, *, pipeline_id: int | None = None
) -> OtherDeals:
    """The other open deals of the client of ``deal``, the last moved first; ``pipeline_id``: only of this pipeline."""
    return (await others_of(session, viewer, [deal], pipeline_id=pipeline_id))[deal.id or 0]


async def others_of(
    session: AsyncSession, viewer: Viewer, deals: Sequence[Deal | Wanted], *, pipeline_id: int | None = None
) -> dict[int, OtherDeals]:
    """The same for many deals, by id, in a fixed number of queries."""
    found = await open_of_same_clients(session, deals, pipeline_id=pipeline_id)
    if not any(found.values()):
        return {deal_id: OtherDeals([], []) for deal_id in found}
    people = await load_directory(session)
    mine = {each.id: each for others in found.values() for each in others if edits_deal(viewer, each, people)}
    rows = {row.deal.id: row for row in await as_rows(session, list(mine.values()))}
    return {
        deal_id: OtherDeals(
            [rows[each.id] for each in others if each.id in rows][:MOST_OFFERED],
            list(dict.fromkeys(each.responsible_id for each in others if each.id not in rows)),
        )
        for deal_id, others in found.items()
    }


async def open_of_same_clients(
    session: AsyncSession, deals: Sequence[Deal | Wanted], *, pipeline_id: int | None = None
) -> dict[int, list[Deal]]:
    """The other open deals of the client of each deal, by the id of the deal, whoever may see them; the last moved first."""
    numbers = {deal.client_number for deal in deals if deal.client_number}
    contacts = {deal.contact_id for deal in deals if deal.contact_id is not None}
    if not numbers and not contacts:
        return {deal.id or 0: [] for deal in deals}
    either = or_(col(Phone.contact_id).in_(contacts), col(Phone.number).in_(numbers))
    phones: dict[int, set[str]] = {}
    for contact_id, number in (await session.exec(select(Phone.contact_id, Phone.number).where(either))).all():
        phones.setdefault(contact_id, set()).add(number)
    numbers |= {number for contact_id in contacts for number in phones.get(contact_id, ())}
    ids: list[Any] = [
        select(col(Deal.id)).where(col(Deal.contact_id).in_({*contacts, *phones})),
        select(col(Deal.id)).where(col(Deal.client_number).in_(numbers)),
    ]
    query = (
        select(Deal)
        .where(col(Deal.id).in_(gathered(*ids)), col(Deal.closed_at).is_(None))
        .order_by(col(Deal.stage_since).desc(), col(Deal.id).desc())
        .limit(MOST_READ)
    )
    if pipeline_id is not None:
        query = query.where(Deal.pipeline_id == pipeline_id)
    candidates = (await session.exec(query)).all()
    return {deal.id or 0: [each for each in candidates if _is_other(deal, each, phones)] for deal in deals}


def _is_other(deal: Deal | Wanted, each: Deal, phones: Mapping[int, set[str]]) -> bool:
    contact_id = deal.contact_id if deal.contact_id is not None else each.contact_id
    return each.id != deal.id and is_same_client(deal, each, phones.get(contact_id or 0, ()))


async def has_same_client(session: AsyncSession, this: Deal, into: Deal) -> bool:
    """Whether both deals are of one client."""
    contact_id = this.contact_id if this.contact_id is not None else into.contact_id
    numbers = (await session.exec(select(Phone.number).where(Phone.contact_id == contact_id))).all()
    return is_same_client(this, into, numbers)


async def access_deal_merge(session: AsyncSession, viewer: Viewer, merge_id: int) -> DealMerge:
    """A merge into a deal that the viewer sees, of one that was theirs, or that they made. Raises NotFound."""
    merge = await session.get(DealMerge, merge_id)
    if merge is not None and not await _sees(session, viewer, merge):
        merge = None
    if merge is None:
        raise NotFound("deal_merges.not_found", "There is no such merge, or it is of a colleague's deals.")
    return merge


async def _sees(session: AsyncSession, viewer: Viewer, merge: DealMerge) -> bool:
    if merge.by_id == viewer.user_id:
        return True
    this = await session.get_one(Deal, merge.from_id)
    if answers_for(viewer, this.responsible_id, await load_directory(session)):
        return True
    survivor = await survivor_of_deal(session, merge.into_id) or merge.into_id
    found = select(Deal.id).where(or_(col(Deal.id) == survivor, col(Deal.id) == merge.from_id), visible_deals(viewer))
    return (await session.exec(found)).first() is not None


def may_undo(viewer: Viewer, merge: DealMerge, this: Deal, into: Deal, people: Directory) -> bool:
    """Whoever merged them, whoever was responsible for the merged deal, and whoever may change both."""
    if not can(viewer, Permission.DEALS_EDIT):
        return False
    mine = decides_for(viewer, this.responsible_id, people)
    return (
        merge.by_id == viewer.user_id
        or (this.responsible_id is not None and mine)
        or (mine and decides_for(viewer, into.responsible_id, people))
    )


async def merges_of_deal(session: AsyncSession, deal_ids: Collection[int]) -> list[DealMerge]:
    """The merges into these deals that were not undone, oldest first."""
    found = await session.exec(
        select(DealMerge)
        .where(col(DealMerge.into_id).in_(deal_ids), col(DealMerge.undone_at).is_(None))
        .order_by(col(DealMerge.id))
    )
    return list(found.all())


async def with_merged(session: AsyncSession, deal_id: int) -> list[int]:
    """The id of the deal and of all deals that are merged into it, also through others."""
    found, new = [deal_id], [deal_id]
    while new:
        new = [merge.from_id for merge in await merges_of_deal(session, new) if merge.from_id not in found]
        found += new
    return found


async def changed_since(session: AsyncSession, merge: DealMerge, into: Deal) -> list[Left]:
    """What an undo would not restore: values edited and rows reassigned since, and rows newer than the merge."""
    left = [Left(Why.FIELD, key) for key, (_, after) in merge.fields.items() if plain(getattr(into, key)) != after]
    changed = await names_of_changed(session, FieldEntity.DEAL, into, merge.parts.get(CUSTOM, {}))
    left += [Left(Why.FIELD, f"{CUSTOM}.{name}") for name in changed]
    return left + left_since(await DEALS.since(session, merge.moved, {}, merge.marks, merge.into_id))


async def tags_of(session: AsyncSession, deal_id: int) -> set[int]:
    """The ids of the tags of a deal."""
    return set((await session.exec(select(DealTag.tag_id).where(DealTag.deal_id == deal_id))).all())


async def both_of(session: AsyncSession, merge: DealMerge) -> tuple[Deal, Deal]:
    """The merged deal and the one it was merged into."""
    found = await load_by_id(session, Deal, [merge.from_id, merge.into_id])
    return found[merge.from_id], found[merge.into_id]
