"""The outcome of a call, given on its card or in the callback queue by the person who talked; and its undo."""

from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import do_unmark_number, mark_number
from pbxcrm.contacts.models import Contact, NumberKind, SpecialNumber
from pbxcrm.contacts.queries import special_number
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.actions import UNDO_WITHIN, access_deal_for_change, do_move_back
from pbxcrm.deals.lost import LOST_NOT_A_CLIENT, LOST_WRONG_NUMBER, do_lose_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.passed_decisions import do_pass_on, owner_to_ask
from pbxcrm.deals.queries import latest_move
from pbxcrm.people.directory import load_directory
from pbxcrm.screenpop.audience import say_dock_changed
from pbxcrm.screenpop.deal_access import about_call
from pbxcrm.screenpop.dock_queries import access_own_call, is_on_call
from pbxcrm.screenpop.models import Disposition, WrapUp
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import create_task, do_take_back_task
from pbxcrm.tasks.models import Task


async def finish(
    session: AsyncSession,
    viewer: Viewer,
    call_id: int,
    disposition: str,
    now: datetime,
    *,
    next_title: str = "",
    next_at: datetime | None = None,
    why: str = "",
) -> Task | None:
    """Record how the call ended; ``next_at`` makes the next task on its deal. "Not interested" loses the deal and needs ``why``;
    a wrong number loses a deal that nobody has worked on yet. Raises GateRefused.

    A colleague's deal stays unchanged: the next task is then about the client, and the decision about the deal is passed to
    its owner by the task that is returned.
    """
    call = await access_own_call(session, viewer, call_id)
    await _check_unsaid(session, viewer, call_id)
    if disposition not in set(Disposition):
        raise Invalid("disposition", "screenpop.disposition", "Choose how the call ended.")
    if disposition == Disposition.NEXT_STEP and next_at is None:
        raise Invalid("next_at", "screenpop.next", "Choose when the next step is due.")
    made: dict[str, Any] = {}
    deal_id, contact_id = await about_call(session, viewer, call_id)
    if next_at is not None:
        if deal_id is None and contact_id is None and call.client_number:
            next_title = f"{next_title}: {format_for_people(call.client_number)}"
        task = await create_task(
            session,
            viewer,
            title=next_title,
            due_at=next_at,
            now=now,
            deal_id=deal_id,
            contact_id=contact_id,
        )
        made["task"] = task.id
    passed = None
    if disposition in {Disposition.NOT_INTERESTED, Disposition.WRONG_NUMBER}:
        only_raw = disposition == Disposition.WRONG_NUMBER
        lost = LOST_WRONG_NUMBER if only_raw else check_why(why)
        passed = await _pass_on(session, viewer, call, disposition, lost, now)
        if passed is None:
            made |= await _lose(session, viewer, deal_id, lost, now, only_raw=only_raw)
        else:
            made["passed"] = passed.id
    await _close_card(session, viewer, call_id, disposition, now, made)
    return passed


async def mark_not_a_client(
    session: AsyncSession, viewer: Viewer, call_id: int, *, region: str, now: datetime
) -> Task | None:
    """Put the number on the list of numbers that are not clients, lose the deal it has just made, and close the card.

    If the client or the deal is a colleague's, nothing is marked: the colleague gets the task that is returned.
    """
    call = await access_own_call(session, viewer, call_id)
    await _check_unsaid(session, viewer, call_id)
    if call.client_number is None:
        raise Invalid("number", "callbacks.no_number", "A withheld number cannot be put on the list.")
    made: dict[str, Any] = {}
    passed = await _pass_on(session, viewer, call, "spam", "", now)
    if passed is not None:
        made["passed"] = passed.id
        await _close_card(session, viewer, call_id, Disposition.WRONG_NUMBER, now, made)
        return passed
    if await special_number(session, call.client_number) is None:
        made["spam"] = call.client_number
    await mark_number(session, viewer, call.client_number, NumberKind.SPAM, region=region, now=now)
    deal_id, _contact_id = await about_call(session, viewer, call_id)
    made |= await _lose(session, viewer, deal_id, LOST_NOT_A_CLIENT, now, only_raw=True)
    await _close_card(session, viewer, call_id, Disposition.WRONG_NUMBER, now, made)
    return None


async def hide(session: AsyncSession, viewer: Viewer, call_id: int, now: datetime) -> None:
    """Close the card of a finished call without an outcome. Raises Conflict while the viewer's phone rings or talks."""
    await access_own_call(session, viewer, call_id)
    if await is_on_call(session, viewer.user_id, call_id):
        raise Conflict("screenpop.goes_on", "The call goes on; its card can be put away when it is over.")
    await _close_card(session, viewer, call_id, "", now)


async def unhide(session: AsyncSession, viewer: Viewer, call_id: int, now: datetime) -> None:
    """Undo ``hide``, ``finish`` or ``mark_not_a_client``, and what they made, unless somebody has changed it since."""
    await access_own_call(session, viewer, call_id)
    row = await session.get(WrapUp, (call_id, viewer.user_id))
    if row is not None:
        await _take_back(session, viewer, row.made, now)
        _ask_again(session, row, now)


async def finish_together(
    session: AsyncSession, viewer: Viewer, disposition: str, now: datetime, *, before: datetime, token: str
) -> int:
    """Settle all calls up to ``before`` that need an outcome from the viewer, or with an empty ``disposition`` close their
    cards; return how many. Calls in progress stay. ``unfinish_together`` undoes it by ``token``.
    """
    if disposition not in {"", Disposition.DONE}:
        raise Invalid("disposition", "screenpop.disposition", "Choose how the call ended.")
    owed = await session.exec(
        select(WrapUp)
        .where(WrapUp.user_id == viewer.user_id, col(WrapUp.done_at).is_(None), WrapUp.talked_at <= before)
        .order_by(col(WrapUp.call_id))
    )
    count = 0
    for row in owed.all():
        if not await is_on_call(session, viewer.user_id, row.call_id):
            await _close_card(session, viewer, row.call_id, disposition, now, {"together": token})
            count += 1
    return count


async def unfinish_together(session: AsyncSession, viewer: Viewer, token: str, now: datetime) -> int:
    """Undo ``finish_together``; return how many cards are back."""
    done = await session.exec(
        select(WrapUp).where(WrapUp.user_id == viewer.user_id, col(WrapUp.done_at) >= now - UNDO_WITHIN)
    )
    rows = [row for row in done.all() if row.made.get("together") == token]
    for row in rows:
        _ask_again(session, row, now)
    return len(rows)


async def do_say_ended(
    session: AsyncSession, call_id: int, user_id: int, disposition: Disposition | None, now: datetime
) -> None:
    """Record an outcome given elsewhere, so the card no longer asks; None: it was taken back, so the card asks again."""
    if disposition is not None:
        await _settle(session, call_id, user_id, disposition.value, now, {})
        return
    row = await session.get(WrapUp, (call_id, user_id))
    if row is not None:
        _ask_again(session, row, now)


async def _check_unsaid(session: AsyncSession, viewer: Viewer, call_id: int) -> None:
    """Raise Conflict if the outcome was already given by a second click or in another tab."""
    await lock(session, f"wrap_up:{call_id}:{viewer.user_id}")
    known = await session.get(WrapUp, (call_id, viewer.user_id))
    if known is not None and known.disposition:
        raise Conflict("screenpop.finished", "The outcome of this call has been recorded already.")


async def _pass_on(
    session: AsyncSession, viewer: Viewer, call: Call, what: str, why: str, now: datetime
) -> Task | None:
    """Pass a decision about a colleague's deal or client to that colleague as a task; None if the viewer may decide."""
    people = await load_directory(session)
    deal = await session.get(Deal, call.deal_id) if call.deal_id is not None else None
    deal = deal if deal is not None and deal.closed_at is None else None
    if what == "spam":
        owner_id = await owner_to_ask(session, viewer, people, deal=deal, number=call.client_number)
        if owner_id is None and (deal is None or edits_deal(viewer, deal, people)):
            return None
        told = reason("passed.client", who=viewer.name)
    elif deal is None or edits_deal(viewer, deal, people):
        return None
    else:
        owner_id = deal.responsible_id
        code = "episode.not_interested" if what == Disposition.NOT_INTERESTED else "episode.wrong_number"
        told = reason("passed.deal", reason(code, who=viewer.name, why=why))
    contact = await session.get(Contact, call.contact_id) if call.contact_id is not None else None
    number = format_for_people(call.client_number) if call.client_number else "—"
    return await do_pass_on(
        session,
        viewer,
        what,
        owner_id,
        told,
        now,
        people,
        client=contact.name if contact is not None and contact.name else number,
        about=f"call-{call.id}",
        deal_id=deal.id if deal is not None else None,
        contact_id=call.contact_id,
        call_id=call.id,
    )


async def _lose(
    session: AsyncSession, viewer: Viewer, deal_id: int | None, lost: str, now: datetime, *, only_raw: bool = False
) -> dict[str, Any]:
    """Lose the deal; return what ``_take_back`` needs to undo it."""
    if deal_id is None:
        return {}
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    people = await load_directory(session)
    moved = await do_lose_deal(session, deal, lost, now, actor=viewer, people=people, only_raw=only_raw)
    return {"deal": deal_id, "version": deal.version} if moved else {}


async def _take_back(session: AsyncSession, viewer: Viewer, made: dict[str, Any], now: datetime) -> None:
    people = await load_directory(session)
    task = await session.get(Task, made["task"]) if "task" in made else None
    if task is not None:
        await do_take_back_task(session, task, now, people, actor=viewer)
    passed = await session.get(Task, made["passed"]) if "passed" in made else None
    if passed is not None:
        await do_take_back_task(session, passed, now, people, actor=viewer)
    deal = await lock_row(session, Deal, made["deal"]) if "deal" in made else None
    move = await latest_move(session, made["deal"]) if deal is not None else None
    if deal is not None and move is not None and deal.version == made["version"]:
        await do_move_back(session, deal, move, now, actor=viewer, people=people)
    special = await session.get(SpecialNumber, made["spam"]) if "spam" in made else None
    if special is not None and special.kind == NumberKind.SPAM:
        await do_unmark_number(session, viewer, special, now)


async def _close_card(
    session: AsyncSession,
    viewer: Viewer,
    call_id: int,
    disposition: str,
    now: datetime,
    made: dict[str, Any] | None = None,
) -> None:
    await _settle(session, call_id, viewer.user_id, disposition, now, made or {})
    record(session, now, "call.wrapped_up", "call", call_id, actor=viewer, disposition=disposition)


async def _settle(
    session: AsyncSession, call_id: int, user_id: int, disposition: str, now: datetime, made: dict[str, Any]
) -> None:
    row = await session.get(WrapUp, (call_id, user_id))
    if row is None:  # people without cards have no row; still record the outcome
        row = WrapUp(call_id=call_id, user_id=user_id, talked_at=now)
        session.add(row)
    row.done_at, row.disposition, row.made = now, disposition, made
    _say_owed(session, user_id, call_id, now)


def _ask_again(session: AsyncSession, row: WrapUp, now: datetime) -> None:
    row.done_at, row.disposition, row.made = None, "", {}
    _say_owed(session, row.user_id, row.call_id, now)


def _say_owed(session: AsyncSession, user_id: int, call_id: int, now: datetime) -> None:
    emit(session, "owed", call_id, now, users=[user_id])  # the callback queue asks for results that one owes
    say_dock_changed(session, now, user_id)
