"""Changing deals. The ``do_…`` functions do not check access; the others check it first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.hooks import Relinked
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.number_owners import do_accept
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.access import editable_deals, visible_deals
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.colleagues_clients import do_say_with, owner_of_client
from pbxcrm.deals.fields import BY_KEY, Value, apply_values
from pbxcrm.deals.gate_queries import check_may_enter
from pbxcrm.deals.hooks import SecondDeal, StageEntry, deal_changed, is_amount_of_lines, stage_entered
from pbxcrm.deals.models import Deal, Stage, StageKind, StageMove
from pbxcrm.deals.queries import (
    has_number_first,
    latest_move,
    load_funnel,
    why_not_there,
)
from pbxcrm.deals.rules import is_closing
from pbxcrm.deals.second_deal_actions import do_say_second
from pbxcrm.deals.second_deal_queries import Meant, check_first_deal
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.rules import Entered, Stored
from pbxcrm.fields.value_actions import do_compute_values, do_set_values
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.queries import access_worker
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_found, lock_row
from pbxcrm.shared.reasons import Reason, reason

UNDO_WITHIN = timedelta(minutes=10)  # how long a move, or a result that made one, can be undone


async def do_move_deal(
    session: AsyncSession,
    deal: Deal,
    to: Stage,
    at: datetime,
    *,
    actor: Viewer | None,
    people: Directory,
    why: Reason | None = None,
    lost_reason: str = "",
    since: datetime | None = None,
    second: Meant = None,
) -> None:
    """Move ``deal`` to the stage ``to``, unless it is there. No other function changes the stage of a deal.

    ``since`` sets ``stage_since`` when a move is undone. ``second``: where it becomes open there. Raises Conflict for a merged deal, Invalid for an archived stage and for a ``lost_reason`` that is too
    long, and GateRefused with everything that ``to`` requires and the deal lacks. Automatic moves use
    ``automatic_moves.do_move_by_itself``, which then leaves the deal where it is and creates a task.
    """
    if deal.stage_id == to.id:
        return
    opens = not is_closing(to) and (deal.closed_at is not None or deal.pipeline_id != to.pipeline_id)
    lost_reason = await check_may_enter(session, deal, to, lost_reason, asks_second=opens and second is False)
    assert to.id is not None
    assert deal.id is not None
    left = (await load_funnel(session)).stages.get(deal.stage_id)
    move = StageMove(
        deal_id=deal.id,
        from_stage_id=deal.stage_id,
        from_since=deal.stage_since,
        from_lost_reason=deal.lost_reason,
        to_stage_id=to.id,
        by_id=actor.user_id if actor else None,
        at=at,
        reason=why.stored() if why else {},
    )
    session.add(move)
    record(
        session, at, "deal.moved", "deal", deal.id, actor=actor, reason=why, from_stage=deal.stage_id, to_stage=to.id
    )
    deal.stage_id, deal.pipeline_id, deal.stage_since = to.id, to.pipeline_id, since or at
    if deal.closed_at is not None and not is_closing(to) and since is None:
        deal.number_since = at  # whoever has the number meanwhile keeps it
    deal.closed_at = deal.stage_since if is_closing(to) else None
    deal.lost_reason = lost_reason if to.kind == StageKind.LOST else ""
    deal.version += 1
    say_deal_changed(session, deal, at, people)
    await session.flush()
    if opens and second is None:
        await do_say_second(session, SecondDeal(deal, at, people))
    await stage_entered(session, StageEntry(deal, to, move, left, at, actor, people))


async def do_move_back(
    session: AsyncSession,
    deal: Deal,
    move: StageMove,
    at: datetime,
    *,
    actor: Viewer,
    people: Directory,
    second: Meant = None,
) -> None:
    """Undo ``move``, the latest move of ``deal``: restore its stage, the time since when it was there, and its lost reason."""
    left = await session.get(Stage, move.from_stage_id)
    if left is None:
        return
    await do_move_deal(
        session,
        deal,
        left,
        at,
        actor=actor,
        people=people,
        lost_reason=move.from_lost_reason,
        since=move.from_since,
        second=second,
    )


async def do_assign_deal(
    session: AsyncSession,
    deal: Deal,
    user_id: int | None,
    at: datetime,
    *,
    actor: Viewer | None,
    people: Directory,
    why: Reason,
) -> None:
    """Change the responsible person; does nothing when it is the same one."""
    if deal.responsible_id == user_id:
        return
    before = _give(session, deal, user_id, at, actor, why)
    if computed := await do_compute_values(session, FieldEntity.DEAL, deal):  # other working hours
        record(session, at, "deal.edited", "deal", deal.id, actor=actor, changed=computed)
    deal.version += 1
    say_deal_changed(session, deal, at, people, also=[before])
    await deal_changed(session, deal, at)


def _give(
    session: AsyncSession, deal: Deal, user_id: int | None, at: datetime, actor: Viewer | None, why: Reason
) -> int | None:
    """Set the responsible person and record it in the audit log. Returns the previous one."""
    before = deal.responsible_id
    deal.responsible_id = user_id
    record(session, at, "deal.assigned", "deal", deal.id, actor=actor, reason=why, before=before, after=user_id)
    return before


async def move_deal(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    stage_id: int,
    *,
    version: int | None,
    now: datetime,
    lost_reason: str = "",
    undo: bool = False,
    answers: Mapping[str, Entered] | None = None,
    region: str = "",
    second: Meant = False,
) -> Deal:
    """Move a deal that the viewer may edit. ``version`` is the one that the viewer saw; raises Conflict if the deal has changed since.

    ``answers`` are required fields to fill in with the move, by key, as typed; ``region`` is that of telephone numbers among them. ``undo`` restores also the time in the stage, if the
    viewer's own move out of it was the latest one and at most ``UNDO_WITHIN`` ago. Raises GateRefused.
    """
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    to = await get_kept_stage(session, stage_id)
    if to is None:
        raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
    people = await load_directory(session)
    filled = bool(answers) and await do_fill_in(session, viewer, deal, answers or {}, now, region, second)
    if filled and deal.stage_id == to.id:  # nothing moves
        await do_count_change(session, deal, now, people)
    last = await latest_move(session, deal_id) if undo else None
    if last is not None and _is_own(last, viewer, to, now):
        await do_move_back(session, deal, last, now, actor=viewer, people=people, second=second)
    else:
        await do_move_deal(session, deal, to, now, actor=viewer, people=people, lost_reason=lost_reason, second=second)
    return deal


async def get_kept_stage(session: AsyncSession, stage_id: int) -> Stage | None:
    """The stage, which nobody can remove until this transaction ends; None if there is none.

    PostgreSQL waits for whoever removes it just now, and then reads that it is removed.
    """
    return await session.get(Stage, stage_id, with_for_update={"read": True}, populate_existing=True)


async def fill_in(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    answers: Mapping[str, Entered],
    now: datetime,
    region: str = "",
    *,
    second: Meant = False,
) -> None:
    """Fill in required fields before another action moves the deal in the same transaction. ``answers``: as in ``move_deal``."""
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    await do_fill_in(session, viewer, deal, answers, now, region, second)


async def do_fill_in(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    answers: Mapping[str, Entered],
    now: datetime,
    region: str,
    second: Meant,
) -> bool:
    """Set required fields of a deal that the viewer may change. ``answers``: as in ``move_deal``. Returns whether anything changed."""
    custom = {key: value for key, value in answers.items() if key not in BY_KEY and key != "contact_id"}
    changed = apply_values(deal, {key: value for key, value in answers.items() if key in BY_KEY})
    changed |= await do_set_values(session, viewer, FieldEntity.DEAL, deal, custom, region=region)
    await _check_amount(session, deal, changed)
    if answers.get("contact_id"):
        contact = await access_contact(session, viewer, int(answers["contact_id"]))
        changed |= await _set_client(session, deal, contact, now, viewer, await load_directory(session), second)
    if changed:
        record(session, now, "deal.edited", "deal", deal.id, actor=viewer, changed=changed)
    return bool(changed)


async def _check_amount(session: AsyncSession, deal: Deal, changed: Mapping[str, Any]) -> None:
    """Raise Invalid where somebody typed another amount although it is the sum of the deal's lines."""
    if "amount" in changed and await is_amount_of_lines(session, deal):
        raise Invalid(
            "amount", "deals.amount_of_lines", "The amount is the sum of the lines. Change the lines instead."
        )


async def _set_client(
    session: AsyncSession,
    deal: Deal,
    contact: Contact | None,
    at: datetime,
    actor: Viewer,
    people: Directory,
    second: Meant,
    *,
    keeps_company: bool = False,
) -> dict[str, Any]:
    """Set the client of a deal. No other function changes the client of a deal that exists.

    The new client's company comes with them. The former client's goes with them unless the deal ``keeps_company``. Whoever had the
    number with the deal gives it to the client. If the client is somebody else's, they are told, and the deal is marked
    (``WITH_ANOTHERS_CLIENT``). Returns the change for the audit log. Raises Invalid with ``SECOND_DEAL``.
    """
    before, after = deal.contact_id, contact.id if contact is not None else None
    if before == after:
        return {}
    if contact is not None and deal.closed_at is None and second is False:
        await check_first_deal(session, actor, deal.pipeline_id, after, None, deal_id=deal.id)
    left = await session.get(Contact, before) if before is not None and not keeps_company else None
    if left is not None and left.company_id == deal.company_id:
        deal.company_id = None
    if contact is None:
        deal.contact_id = None
    else:
        owner_id = await owner_of_client(session, actor, contact)  # asked before the deal itself opens the client
        deal.contact_id, deal.company_id = contact.id, contact.company_id or deal.company_id
        if deal.closed_at is None and deal.responsible_id is not None and owner_id is None:
            await do_accept(session, contact.id, deal.client_number, deal.number_since or deal.created_at)
        await do_say_with(session, actor, deal, contact, owner_id, at, people)
        if second is None:
            await do_say_second(session, SecondDeal(deal, at, people))
    return {"contact_id": {"before": before, "after": after}}


def _is_own(last: StageMove, viewer: Viewer, left: Stage, now: datetime) -> bool:
    """Whether ``last`` is the viewer's own move out of the stage ``left``, at most ``UNDO_WITHIN`` ago."""
    return last.by_id == viewer.user_id and last.from_stage_id == left.id and now - last.at <= UNDO_WITHIN


async def edit_deal(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    *,
    version: int | None,
    now: datetime,
    values: Mapping[str, Value] = MappingProxyType({}),
    responsible_id: int | None = None,
    contact_id: int | None = None,
    keep_contact: bool = True,
    custom: Mapping[str, Entered] = MappingProxyType({}),
    seen: Mapping[str, Stored] | None = None,
    region: str = "",
    second: Meant = False,
) -> Deal:
    """Change the given ``values`` by key (``deals/fields.py``), the responsible person and the client.

    ``contact_id`` is only used when ``keep_contact`` is false; None then removes the client. ``custom``, ``seen``: as in
    ``do_set_values``. The version grows by one if anything changed. Raises Conflict for an old ``version``.
    """
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    changed = apply_values(deal, values)
    changed |= await do_set_values(session, viewer, FieldEntity.DEAL, deal, custom, region=region, seen=seen)
    await _check_amount(session, deal, changed)
    if not keep_contact and contact_id != deal.contact_id:
        contact = await access_contact(session, viewer, contact_id) if contact_id is not None else None
        changed |= await _set_client(
            session, deal, contact, now, viewer, await load_directory(session), second, keeps_company=contact is None
        )
    given, before = responsible_id is not None and responsible_id != deal.responsible_id, deal.responsible_id
    if given and responsible_id is not None:
        owner = await access_worker(session, viewer, responsible_id, field="responsible_id")
        _give(session, deal, owner.id, now, viewer, reason("owner.by_hand", by=viewer.name, who=owner.name))
        changed |= await do_compute_values(session, FieldEntity.DEAL, deal)
    if changed:
        record(session, now, "deal.edited", "deal", deal_id, actor=viewer, changed=changed)
    if changed or given:
        deal.version += 1
        say_deal_changed(session, deal, now, await load_directory(session), also=[before])
        await deal_changed(session, deal, now)
    return deal


async def do_edit_deal(
    session: AsyncSession,
    deal: Deal,
    at: datetime,
    *,
    actor: Viewer | None,
    people: Directory,
    values: Mapping[str, Value] = MappingProxyType({}),
    custom: Mapping[str, Entered] = MappingProxyType({}),
    region: str = "",
    why: Reason | None = None,
) -> dict[str, Any]:
    """Change ``values`` and ``custom`` fields by key, which another act brings with it, or a rule (``actor`` None, and ``why``).

    The caller has checked access. Returns the changes as the audit log has them. Raises Invalid, ValueTaken.
    """
    changed = apply_values(deal, values)
    changed |= await do_set_values(session, actor, FieldEntity.DEAL, deal, custom, region=region)
    await _do_record_edit(session, deal, changed, at, actor, people, why)
    return changed


async def do_set_client(
    session: AsyncSession, deal: Deal, contact_id: int | None, at: datetime, *, actor: Viewer, people: Directory
) -> None:
    """Give a deal the client that another act brings with it, or none. The caller has checked access."""
    contact = await session.get_one(Contact, contact_id) if contact_id is not None else None
    changed = await _set_client(session, deal, contact, at, actor, people, None)
    await _do_record_edit(session, deal, changed, at, actor, people)


async def _do_record_edit(
    session: AsyncSession,
    deal: Deal,
    changed: Mapping[str, Any],
    at: datetime,
    actor: Viewer | None,
    people: Directory,
    why: Reason | None = None,
) -> None:
    if not changed:
        return
    record(session, at, "deal.edited", "deal", deal.id, actor=actor, reason=why, changed=changed)
    await do_count_change(session, deal, at, people)


def do_explain_deal(deal: Deal, why: Reason) -> None:
    """Set the reason of a deal that was created in the same transaction."""
    deal.reason = why.stored()


async def do_count_change(session: AsyncSession, deal: Deal, at: datetime, people: Directory) -> None:
    """A deal has changed: it gets a new version, and everybody who sees it or watches it is told."""
    deal.version += 1
    say_deal_changed(session, deal, at, people)
    await deal_changed(session, deal, at)


async def access_deal_for_change(session: AsyncSession, viewer: Viewer, deal_id: int, version: int | None) -> Deal:
    """The deal, locked for this transaction. Raises NotFound, and Conflict when its version is not the given ``version``.

    None skips the comparison.
    """
    check(viewer, Permission.DEALS_EDIT)
    visible = select(Deal).where(col(Deal.id) == deal_id, visible_deals(viewer))
    deal = await lock_found(session, Deal, visible)
    if deal is None:
        raise await why_not_there(session, viewer, deal_id)
    if version is not None and deal.version != version:
        raise Conflict("deals.stale", "Somebody changed this deal meanwhile. Look at it again before you change it.")
    return deal


def say_deal_changed(
    session: AsyncSession, deal: Deal, at: datetime, people: Directory, also: Iterable[int | None] = ()
) -> None:
    """Notify everybody who sees the deal, and everybody who answers for the people ``also`` (the previous responsible)."""
    heard = audience_of_deal(deal, people)
    emit(session, "deal", deal.id, at, users=heard.users | people.answering_for(*also), roles=heard.roles)


async def say_deals_relinked(session: AsyncSession, relinked: Relinked) -> None:
    """Handler of ``contacts.hooks``: open deals have another client or company now, so their cards must show the new name."""
    ids = {*relinked.rows.get("deals.contact_id", ()), *relinked.rows.get("deals.company_id", ())}
    people = await load_directory(session)
    found = await session.exec(select(Deal).where(col(Deal.id).in_(ids), col(Deal.closed_at).is_(None)))
    for deal in found.all() if ids else ():
        say_deal_changed(session, deal, relinked.at, people)


async def adopt_deals(session: AsyncSession, viewer: Viewer, contact_id: int, number: str, now: datetime) -> None:
    """Give deals of ``number`` without a contact to this contact, except a later one of somebody else that was made by hand.

    Deals that somebody has and the viewer may not change are left alone.
    """
    whose = select(Contact.responsible_id).where(Contact.id == contact_id).scalar_subquery()
    found = await session.exec(
        select(Deal)
        .where(
            col(Deal.client_number) == number,
            col(Deal.contact_id).is_(None),
            # Anybody can type any number into a deal made by hand, and a deal with a client gives access to the client.
            or_(col(Deal.made_by_call_id).is_not(None), col(Deal.responsible_id) == whose, has_number_first()),
            or_(col(Deal.responsible_id).is_(None), editable_deals(viewer)),
        )
        .order_by(col(Deal.id))
        .with_for_update(of=Deal)
        .execution_options(populate_existing=True)
    )
    people = await load_directory(session)
    for deal in found.all():
        await do_set_client(session, deal, contact_id, now, actor=viewer, people=people)


async def release_deals(
    session: AsyncSession,
    viewer: Viewer,
    contact_id: int,
    given: Mapping[str, Sequence[int]],
    now: datetime,
) -> None:
    """Undo ``adopt_deals`` for those of ``given`` that this contact still has: they have no client again."""
    people = await load_directory(session)
    for deal_id in given.get("deals.contact_id", ()):
        deal = await lock_row(session, Deal, deal_id)
        if deal.contact_id == contact_id:
            await do_set_client(session, deal, None, now, actor=viewer, people=people)
