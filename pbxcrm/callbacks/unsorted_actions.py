"""What a person does with an unsorted deal, besides moving and merging it: attach it to another client, or refuse it; and the undo.

It stands above ``deals`` because a number is put on a list by the rules of callbacks (``special_numbers.put_on_list``).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks.special_numbers import put_on_list
from pbxcrm.contacts.actions import do_unlink_number, link_number, unmark_number
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.contacts.models import NumberKind
from pbxcrm.contacts.queries import access_contact, contacts_of_number, edits_contact, special_number
from pbxcrm.deals.actions import UNDO_WITHIN, access_deal_for_change, do_move_back, do_set_client, edit_deal
from pbxcrm.deals.lost import LOST_NOT_A_CLIENT, LOST_WRONG_NUMBER, do_lose_deal
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.queries import latest_move, load_funnel
from pbxcrm.deals.second_deal_queries import Meant
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.typed_reasons import check_why

SPAM, WRONG_NUMBER, OTHER = "spam", "wrong_number", "other"
#: Why a caller is not a client: code → English note. With all but a wrong number their calls make no more deals.
NOT_CLIENTS: Mapping[str, str] = {
    SPAM: N_("Spam"),
    WRONG_NUMBER: N_("Wrong number"),
    "supplier": N_("Supplier"),
    "job": N_("Looks for a job"),
    OTHER: N_("Another reason"),
}
ATTACHED = "deal.attached"


async def attach(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    contact_id: int | None,
    *,
    version: int | None,
    region: str,
    now: datetime,
    second: Meant = False,
) -> Deal:
    """The deal is of this client, and its number becomes theirs unless somebody has it already. ``detach`` takes it back. ``second``: beside
    an open deal of the client.

    Raises Invalid, NotFound, NotAllowed, Conflict.
    """
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    before, number = deal.contact_id, deal.client_number
    if contact_id is None:
        raise Invalid("contact_id", "unsorted.client", "Choose a client from the list.")
    await access_contact(session, viewer, contact_id, field="contact_id")
    if before == contact_id:
        return deal
    links = (
        number is not None
        and not await contacts_of_number(session, number, all_of_them=True)
        and await edits_contact(session, viewer, contact_id)
    )
    had = await CLIENTS.ids_of(session, contact_id)
    await edit_deal(
        session, viewer, deal_id, version=None, now=now, contact_id=contact_id, keep_contact=False, second=second
    )
    if links and number is not None:
        await link_number(session, viewer, contact_id, number, region=region, now=now)
    await session.flush()
    now_has = await CLIENTS.ids_of(session, contact_id)
    now_has["deals.contact_id"].discard(deal_id)
    adopted = {name: sorted(ids - had[name]) for name, ids in now_has.items() if ids - had[name]}
    record(
        session, now, ATTACHED, "deal", deal_id, actor=viewer,
        contact_id=contact_id, before=before, number=number if links else None, adopted=adopted, version=deal.version,
    )  # fmt: skip
    return deal


async def detach(session: AsyncSession, viewer: Viewer, deal_id: int, *, now: datetime) -> Deal:
    """Take the viewer's own ``attach`` back, with what it gave to the client, if nobody has changed the deal since. Raises Conflict."""
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    found = await session.exec(
        select(AuditEntry)
        .where(AuditEntry.entity == "deal", AuditEntry.entity_id == str(deal_id), AuditEntry.action == ATTACHED)
        .order_by(col(AuditEntry.id).desc())
        .limit(1)
    )
    done = found.first()
    if done is None or done.actor_id != viewer.user_id or now - done.at > UNDO_WITHIN:
        raise _too_late()
    told: dict[str, Any] = done.data
    if deal.version != told["version"] or deal.contact_id != told["contact_id"]:
        raise _too_late()
    if told["number"] is not None:
        await do_unlink_number(session, viewer, told["contact_id"], told["number"], told["adopted"], now)
    if told["before"] is not None:
        await access_contact(session, viewer, told["before"])
    people = await load_directory(session)
    await do_set_client(session, deal, told["before"], now, actor=viewer, people=people)
    record(session, now, "deal.detached", "deal", deal_id, actor=viewer, contact_id=told["contact_id"])
    return deal


async def refuse(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    why: str,
    *,
    version: int | None,
    region: str,
    now: datetime,
    text: str = "",
) -> Deal:
    """The caller is no client: the deal is lost, and unless it was a wrong number the number goes on the list of those.

    ``why`` is a code of ``NOT_CLIENTS``; ``text`` says it for ``other``. Raises GateRefused, Invalid, NotAllowed, Conflict.
    """
    check(viewer, Permission.DEALS_EDIT)
    if why not in NOT_CLIENTS:
        raise Invalid("why", "unsorted.why", "Choose why this is not a client.")
    note = check_why(text, "text") if why == OTHER else NOT_CLIENTS[why]
    deal = await _unsorted(session, viewer, deal_id, version)
    lost = LOST_WRONG_NUMBER if why == WRONG_NUMBER else note
    if why != WRONG_NUMBER and deal.client_number is not None:
        check(viewer, Permission.CALLBACKS_WORK)
        lost = LOST_NOT_A_CLIENT
        await put_on_list(session, viewer, deal.client_number, NumberKind.SPAM, note=note, region=region, now=now)
        await session.flush()
        await session.refresh(deal)
    await do_lose_deal(session, deal, lost, now, actor=viewer, people=await load_directory(session))
    return deal


async def take_back(session: AsyncSession, viewer: Viewer, deal_id: int, *, now: datetime) -> Deal:
    """Undo the viewer's own last move of the deal out of Unsorted, and what went with it. Raises Conflict when that is over."""
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    move = await latest_move(session, deal_id)
    left = (await load_funnel(session)).stages.get(move.from_stage_id) if move is not None else None
    if move is None or left is None or left.kind != StageKind.UNSORTED or move.by_id != viewer.user_id:
        raise _too_late()
    if now - move.at > UNDO_WITHIN:
        raise _too_late()
    special = await special_number(session, deal.client_number)
    if special is not None and special.kind == NumberKind.SPAM and special.added_at == deal.closed_at:
        await unmark_number(session, viewer, special.number, now=now)
        await session.flush()
        await session.refresh(deal)
    if deal.stage_id != left.id:
        await do_move_back(session, deal, move, now, actor=viewer, people=await load_directory(session))
    return deal


async def _unsorted(session: AsyncSession, viewer: Viewer, deal_id: int, version: int | None) -> Deal:
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    stage = await session.get_one(Stage, deal.stage_id)
    if stage.kind != StageKind.UNSORTED:
        raise Conflict("unsorted.sorted", "Somebody has sorted this deal already.")
    return deal


def _too_late() -> Conflict:
    return Conflict(
        "unsorted.too_late", "This can no longer be taken back: it was long ago, or the deal was changed since."
    )
