"""What is done on a call card: the note, which client it is, and how it ended."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calls.models import Call
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.db import lock
from pbxcrm.deals.actions import access_for_change, do_move_deal, say_deal_changed
from pbxcrm.deals.models import Deal, Note, Stage, StageKind
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.errors import Conflict, Invalid
from pbxcrm.events import emit
from pbxcrm.numbers import format_for_people
from pbxcrm.people.queries import load_directory
from pbxcrm.rows import add_new
from pbxcrm.screenpop.models import Disposition, WrapUp
from pbxcrm.screenpop.queries import access_own_call
from pbxcrm.screenpop.reach import about_call
from pbxcrm.tasks.actions import create_task, say_task_changed
from pbxcrm.tasks.models import Task

NOTE_MAX = 10_000


def say_dock_changed(
    session: AsyncSession, at: datetime, *user_ids: int | None, call_id: int | None = None, rings: bool = False
) -> None:
    """Something on these people's docks is to be drawn anew, in every tab: the card of one call, or all of them.

    Where a phone ``rings`` it is done before all others.
    """
    users = {user_id for user_id in user_ids if user_id is not None}
    if users:
        emit(session, "dock", call_id or "", at, users=users, urgent=rings)


async def do_owe_wrap_up(session: AsyncSession, call: Call, user_ids: Iterable[int | None], at: datetime) -> None:
    """These people talk to a client: they will owe the outcome."""
    new: dict[str, Any] = {"call_id": call.id, "talked_at": at, "disposition": "", "made": {}}
    await add_new(session, WrapUp, [{**new, "user_id": user_id} for user_id in user_ids])


async def save_note(session: AsyncSession, viewer: Viewer, call_id: int, text: str, now: datetime) -> None:
    """What is typed on the card, kept as one types: one note a call and person. An emptied one is taken away."""
    check(viewer, Permission.DEALS_EDIT)
    call = await access_own_call(session, viewer, call_id)
    text = text.strip()
    if len(text) > NOTE_MAX:
        raise Invalid("text", "deals.note", "Write a note of up to 10 000 letters.")
    found = await session.exec(
        select(Note).where(Note.call_id == call_id, Note.author_id == viewer.user_id).order_by(col(Note.id))
    )
    note = found.first()
    if note is None and not text:
        return
    if note is None:
        session.add(
            Note(
                call_id=call_id,
                deal_id=call.deal_id,
                contact_id=call.contact_id,
                author_id=viewer.user_id,
                text=text,
                at=now,
            )
        )
    elif not text:
        await session.delete(note)
    else:
        note.text, note.deal_id = text, note.deal_id or call.deal_id
        note.version += 1
    say_dock_changed(session, now, viewer.user_id)  # the other tabs
    if call.deal_id is not None:
        deal = await session.get(Deal, call.deal_id)
        if deal is not None:
            say_deal_changed(session, deal, now, await load_directory(session))


async def choose_contact(session: AsyncSession, viewer: Viewer, call_id: int, contact_id: int, now: datetime) -> None:
    """Which of several clients with this number it is. The next call of the number begins with this choice."""
    check(viewer, Permission.CONTACTS_EDIT)
    call = await access_own_call(session, viewer, call_id)
    if contact_id not in [contact.id for contact in await contacts_of_number(session, call.client_number)]:
        raise Invalid("contact_id", "contacts.not_of_number", "This client does not have the number any more.")
    call.contact_id = contact_id
    if call.deal_id is not None:
        deal = await session.get(Deal, call.deal_id)
        if deal is not None and deal.contact_id is None:
            deal.contact_id = contact_id
            deal.version += 1
            say_deal_changed(session, deal, now, await load_directory(session))
    record(session, now, "call.contact_chosen", "call", call_id, actor=viewer, contact_id=contact_id)
    say_dock_changed(session, now, viewer.user_id)


async def attach_deal(session: AsyncSession, viewer: Viewer, call_id: int, deal_id: int, now: datetime) -> None:
    """The call belongs to this deal of one's own."""
    call = await access_own_call(session, viewer, call_id)
    deal = await access_for_change(session, viewer, deal_id, None)
    call.deal_id = deal.id
    for note in (
        await session.exec(select(Note).where(Note.call_id == call_id, Note.author_id == viewer.user_id))
    ).all():
        note.deal_id = deal.id
    record(session, now, "call.attached", "call", call_id, actor=viewer, deal_id=deal_id)
    say_deal_changed(session, deal, now, await load_directory(session))
    say_dock_changed(session, now, viewer.user_id)


async def finish(
    session: AsyncSession,
    viewer: Viewer,
    call_id: int,
    disposition: str,
    now: datetime,
    *,
    next_title: str = "",
    next_at: datetime | None = None,
    lost_reason: str = "",
) -> None:
    """How the call ended; with ``next_at`` the next task on its deal, with "not interested" the deal is lost for that reason.

    A colleague's deal stays as it is: the task is then about the client.
    """
    call = await access_own_call(session, viewer, call_id)
    await lock(session, f"wrap_up:{call_id}:{viewer.user_id}")
    known = await session.get(WrapUp, (call_id, viewer.user_id))
    if known is not None and known.disposition:
        raise Conflict("screenpop.finished", "How this call ended has been said already.")
    made: dict[str, Any] = {}
    if disposition not in set(Disposition):
        raise Invalid("disposition", "screenpop.disposition", "Choose how the call ended.")
    if disposition == Disposition.NEXT_STEP and next_at is None:
        raise Invalid("next_at", "screenpop.next", "Choose when the next step is due.")
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
    if disposition == Disposition.NOT_INTERESTED and deal_id is not None:
        deal = await access_for_change(session, viewer, deal_id, None)
        lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST)
        if lost is not None and deal.closed_at is None:
            made |= {"deal": deal.id, "from_stage": deal.stage_id}
            do_move_deal(
                session,
                deal,
                lost,
                now,
                actor=viewer,
                people=await load_directory(session),
                lost_reason=lost_reason or "not interested",
            )
    await _close_card(session, viewer, call_id, disposition, now, made)


async def hide(session: AsyncSession, viewer: Viewer, call_id: int, now: datetime) -> None:
    """Put the card away without an outcome."""
    await access_own_call(session, viewer, call_id)
    await _close_card(session, viewer, call_id, "", now)


async def unhide(session: AsyncSession, viewer: Viewer, call_id: int, now: datetime) -> None:
    """The undo of ``hide`` and of ``finish``; what ``finish`` made goes, too, unless somebody has changed it since."""
    await access_own_call(session, viewer, call_id)
    row = await session.get(WrapUp, (call_id, viewer.user_id))
    if row is not None:
        await _take_back(session, viewer, row.made, now)
        row.done_at, row.disposition, row.made = None, "", {}
    say_dock_changed(session, now, viewer.user_id)


async def _take_back(session: AsyncSession, viewer: Viewer, made: dict[str, Any], now: datetime) -> None:
    people = await load_directory(session)
    task = await session.get(Task, made["task"]) if "task" in made else None
    if task is not None and task.version == 1:
        say_task_changed(session, task, now, people)
        record(session, now, "task.taken_back", "task", task.id, actor=viewer, title=task.title)
        await session.delete(task)
    deal = await session.get(Deal, made["deal"]) if "deal" in made else None
    stage = await session.get(Stage, made["from_stage"]) if deal is not None else None
    lost = await stage_of_kind(session, deal.pipeline_id, StageKind.LOST) if deal is not None else None
    if deal is not None and stage is not None and lost is not None and deal.stage_id == lost.id:
        do_move_deal(session, deal, stage, now, actor=viewer, people=people)


async def _close_card(
    session: AsyncSession,
    viewer: Viewer,
    call_id: int,
    disposition: str,
    now: datetime,
    made: dict[str, Any] | None = None,
) -> None:
    row = await session.get(WrapUp, (call_id, viewer.user_id))
    if row is None:
        row = WrapUp(call_id=call_id, user_id=viewer.user_id, talked_at=now)
        session.add(row)
    row.done_at, row.disposition, row.made = now, disposition, made or {}
    record(session, now, "call.wrapped_up", "call", call_id, actor=viewer, disposition=disposition)
    emit(session, "callback", f"call-{call_id}", now, users=[viewer.user_id])  # the queue need not ask it any more
    say_dock_changed(session, now, viewer.user_id)
