"""Merges a deal into another open deal of the same client, without losing anything of either.

The merged deal stays as a row with its fields, its stage and its history; it is closed, ``merged_into_id`` is the survivor, its URL
leads there, and all lists leave it out. It is not moved: only ``actions.do_move_deal`` moves deals, and a merge loses nothing and wins
nothing. All rows that refer to it (calls, tasks, notes, files, callbacks …) refer to the survivor from then on. ``DealMerge``
stores each row, so that the merge can be undone, even a month later (``unmerge_actions``).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.hooks import Relinked, rows_relinked
from pbxcrm.contacts.number_owners import do_accept
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.hooks import DealsMerging, deal_changed, deals_merging
from pbxcrm.deals.merge_queries import DEALS, has_same_client, tags_of
from pbxcrm.deals.merge_rules import CUSTOM, TAGS, choose, loaded
from pbxcrm.deals.models import Deal, DealMerge, DealTag
from pbxcrm.deals.queries import access_deal
from pbxcrm.deals.rules import merged_meanwhile
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_adopt_values
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import add_new
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.merges import move_late_rows
from pbxcrm.shared.relinking import ANY_VERSIONS, SETTLE_AFTER, SeenVersions, ids_in
from pbxcrm.shared.timers import set_timer

SETTLE = "deals.settle_merge"


async def merge_deals(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    into_id: int,
    *,
    now: datetime,
    chosen: Mapping[str, str] = {},
    seen: SeenVersions = ANY_VERSIONS,
) -> DealMerge:
    """Merge ``deal_id`` into ``into_id``; ``chosen`` says per field (``merge_rules.FIELDS``) ``this`` or ``into``.

    Both must be open, of one client, and the viewer's to change. Raises Conflict if somebody changed, closed or merged one
    meanwhile, Invalid, NotFound, NotAllowed.
    """
    check(viewer, Permission.DEALS_EDIT)
    if deal_id == into_id:
        raise Invalid("into", "deal_merges.same", "Choose another deal: this is the same one.")
    for one, field in ((deal_id, ""), (into_id, "into")):
        if (await access_deal(session, viewer, one, field=field)).id != one:
            raise merged_meanwhile()
    this, into = await lock_deals(session, deal_id, into_id)
    await access_deal_for_change(session, viewer, deal_id, seen.this)
    await access_deal_for_change(session, viewer, into_id, seen.into)
    if this.closed_at is not None or into.closed_at is not None:
        raise Conflict("deal_merges.closed", "One of the two deals is closed: only open deals are merged.")
    if not await has_same_client(session, this, into):
        raise Invalid(
            "into", "deal_merges.clients", "The two deals are of different clients. Set the right client first."
        )
    taken = choose(this, into, chosen)
    merge = DealMerge(from_id=deal_id, into_id=into_id, by_id=viewer.user_id, at=now, fields=taken)
    merge.marks = await DEALS.highest_ids(session)
    kept: dict[str, Any] = {}
    await deals_merging(session, DealsMerging(viewer, deal_id, into_id, now, kept))
    this.merged_into_id, this.closed_at = into_id, now
    this.version += 1
    await deal_changed(session, this, now)  # its lamps go out
    merge.moved = await DEALS.give_all(session, deal_id, into_id)
    for key, (_, after) in taken.items():
        setattr(into, key, loaded(key, after))
    if "contact_id" in taken:
        await do_accept(session, into.contact_id, into.client_number, into.number_since or into.created_at)
    kept[CUSTOM] = await do_adopt_values(session, FieldEntity.DEAL, into, this.custom)
    kept[TAGS] = sorted(await tags_of(session, deal_id) - await tags_of(session, into_id))
    await add_new(session, DealTag, [{"deal_id": into_id, "tag_id": tag_id} for tag_id in kept[TAGS]])
    into.version += 1
    merge.parts = kept
    session.add(merge)
    await session.flush()
    await set_timer(session, SETTLE, f"{SETTLE}:{merge.id}", now + SETTLE_AFTER, {"merge": merge.id})
    people = await load_directory(session)
    for deal in (this, into):
        record(
            session,
            now,
            "deal.merged",
            "deal",
            deal.id,
            actor=viewer,
            merge=merge.id,
            from_id=deal_id,
            into_id=into_id,
            title=(this if deal is into else into).title,
        )
        say_deal_changed(session, deal, now, people)
    await deal_changed(session, into, now)
    await rows_relinked(session, Relinked(ids_in(merge.moved), now, asked=True))
    return merge


async def settle_deal_merge(session: AsyncSession, merge_id: int, now: datetime) -> None:
    """Move rows that were written for the merged deal during the merge. A repetition changes nothing."""
    moved = await move_late_rows(session, DealMerge, Deal, DEALS, merge_id)
    if moved is not None:
        late, into = moved
        await deal_changed(session, into, now)
        await rows_relinked(session, Relinked(ids_in(late), now, asked=False))


async def lock_deals(session: AsyncSession, *deal_ids: int) -> list[Deal]:
    """Lock the deals, first their numbers, as the listener does, and return their current rows in the given order.

    A stronger lock than ``lock_row``: it waits for transactions that add rows referring to them, so that these move too.
    """
    await session.flush()
    numbers = set((await session.exec(select(Deal.client_number).where(col(Deal.id).in_(deal_ids)))).all())
    await lock_all(session, sorted(f"client:{number}" for number in numbers if number))
    rows = {
        one: await session.get_one(Deal, one, with_for_update=True, populate_existing=True) for one in sorted(deal_ids)
    }
    return [rows[one] for one in deal_ids]
