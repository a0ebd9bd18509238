"""Undoes a merge of deals at any later time. Later edits are kept and listed, never overwritten."""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.hooks import Relinked, rows_relinked
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.hooks import DealsUnmerging, deal_changed, deals_unmerging
from pbxcrm.deals.merge_actions import lock_deals
from pbxcrm.deals.merge_queries import DEALS, access_deal_merge, both_of, changed_since, may_undo
from pbxcrm.deals.merge_rules import CUSTOM, TAGS, loaded, plain
from pbxcrm.deals.models import STAGE_REMOVED, Deal, DealMerge, DealTag, Stage, StageKind
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_return_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.merges import Undoing
from pbxcrm.shared.reasons import N_, reason

_UNDOING: Undoing[Deal, DealMerge] = Undoing(
    lock=lock_deals,
    lock_merge=lambda session, merge_id: lock_row(session, DealMerge, merge_id),
    load=lambda session, deal_id: session.get_one(Deal, deal_id),
    name=lambda deal: deal.title,
    codes="deal_merges",
    word="deal",
    merged_on=N_("“{deal}” has itself been merged into “{survivor}” since. Undo that first."),
)


async def undo_deal_merge(session: AsyncSession, viewer: Viewer, merge_id: int, *, now: datetime) -> DealMerge:
    """The merged deal is open again, in its stage. Raises NotAllowed, NotFound, Conflict.

    Afterwards ``DealMerge.left`` lists what was not restored. A deal whose stage was removed meanwhile goes to the first stage of work.
    """
    check(viewer, Permission.DEALS_EDIT)
    merge = await access_deal_merge(session, viewer, merge_id)
    people = await load_directory(session)
    is_allowed = may_undo(viewer, merge, *await both_of(session, merge), people)
    merge, this, into = await _UNDOING.begin(session, merge, is_allowed=is_allowed, by=people.name(merge.by_id))
    left = await changed_since(session, merge, into)
    rows = await DEALS.give_back(session, merge.moved, merge.into_id, merge.from_id)
    for key, (before, after) in merge.fields.items():
        if plain(getattr(into, key)) == after:
            setattr(into, key, loaded(key, before))
    await do_return_values(session, FieldEntity.DEAL, into, merge.parts.get(CUSTOM, {}))
    mine = col(DealTag.tag_id).in_(merge.parts.get(TAGS, []))
    await session.exec(delete(DealTag).where(col(DealTag.deal_id) == into.id, mine))
    this.merged_into_id, this.closed_at = None, None
    this.version += 1
    into.version += 1
    parts = DealsUnmerging(viewer, merge.from_id, merge.into_id, now, merge.parts)
    await deals_unmerging(session, parts)
    merge.undone_at, merge.undone_by_id = now, viewer.user_id
    merge.left = [one.stored() for one in (*left, *parts.left)]
    await session.flush()
    for one in (this, into):
        record(
            session,
            now,
            "deal.unmerged",
            "deal",
            one.id,
            actor=viewer,
            merge=merge_id,
            from_id=this.id,
            into_id=into.id,
            title=(this if one is into else into).title,
        )
        say_deal_changed(session, one, now, people)
        await deal_changed(session, one, now)
    await rows_relinked(session, Relinked(rows, now, asked=True))
    stage = await session.get_one(Stage, this.stage_id)
    to = await stage_of_kind(session, this.pipeline_id, StageKind.OPEN) if stage.archived_at is not None else None
    if to is not None:
        why = reason(STAGE_REMOVED, by=viewer.name, stage=stage.name)
        await do_move_by_itself(session, this, to, now, people=people, why=why)
    return merge
