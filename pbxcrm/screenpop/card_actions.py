"""Actions on a call card during and after the call: the note, the client, the deal."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calls.access import may_hear
from pbxcrm.calls.actions import do_set_client_of_call, do_set_deal_of_call
from pbxcrm.calls.models import Call
from pbxcrm.calls.rules import title_of_new_deal
from pbxcrm.contacts.actions import create_contact, link_number
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.actions import access_deal_for_change, do_edit_deal, do_set_client, say_deal_changed
from pbxcrm.deals.creation_actions import Completed, create_deal, stage_of_new
from pbxcrm.deals.models import Deal
from pbxcrm.deals.second_deal_queries import open_there
from pbxcrm.notes.actions import do_attach_notes, do_save_note_of_call
from pbxcrm.people.directory import load_directory
from pbxcrm.screenpop.audience import say_dock_changed
from pbxcrm.screenpop.dock_queries import access_own_call
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.shared.core_sql import add_new
from pbxcrm.shared.db import before_commit, lock
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.locking import lock_row

OWED = "wrap_ups"  # key in session.info: rows collected and written together before the commit


def do_owe_wrap_up(session: AsyncSession, call: Call, user_ids: Iterable[int | None], at: datetime) -> None:
    """These people talk to a client, so they will have to give the outcome."""
    if OWED not in session.info:  # not by whether the list is empty: a phone may be nobody's
        session.info[OWED] = []
        before_commit(session, _write_owed)
    owed: list[dict[str, Any]] = session.info[OWED]
    new: dict[str, Any] = {"call_id": call.id, "talked_at": at, "disposition": "", "made": {}}
    owed += [{**new, "user_id": user_id} for user_id in user_ids]


async def _write_owed(session: AsyncSession) -> None:
    await add_new(session, WrapUp, session.info.pop(OWED))


async def save_note(session: AsyncSession, viewer: Viewer, call_id: int, text: str, now: datetime) -> None:
    """Save the note typed on a card: one note per call and person. An empty text deletes it."""
    check(viewer, Permission.DEALS_EDIT)
    call = await access_own_call(session, viewer, call_id)
    await do_save_note_of_call(session, viewer, call, text, now)
    say_dock_changed(session, now, viewer.user_id)  # the other tabs


async def choose_contact(session: AsyncSession, viewer: Viewer, call_id: int, contact_id: int, now: datetime) -> None:
    """Choose which of several contacts with this number called. The next call of the number starts with this choice."""
    check(viewer, Permission.CONTACTS_EDIT)
    call = await access_own_call(session, viewer, call_id)
    having = await contacts_of_number(session, call.client_number, all_of_them=True)
    if contact_id not in [contact.id for contact in having]:
        raise Invalid("contact_id", "contacts.not_of_number", "This client does not have the number any more.")
    # Whoever is responsible for the client hears the call. If only their phone rang, somebody else talked.
    if call.responsible_id is not None and not await may_hear(session, viewer, call_id):
        raise NotAllowed("calls.not_yours", "A colleague has this call: they say which client it was.")
    people = await load_directory(session)
    await do_set_client_of_call(session, call, contact_id, now, people)
    if call.deal_id is not None:
        deal = await lock_row(session, Deal, call.deal_id)
        if deal.contact_id is None and (deal.responsible_id is None or edits_deal(viewer, deal, people)):
            await do_set_client(session, deal, contact_id, now, actor=viewer, people=people)
    record(session, now, "call.contact_chosen", "call", call_id, actor=viewer, contact_id=contact_id)
    say_dock_changed(session, now, viewer.user_id)


async def link_client(
    session: AsyncSession, viewer: Viewer, call_id: int, contact_id: int | None, *, region: str, now: datetime
) -> Contact:
    """The caller is a known client with a new number: add the number, and with it its history, to the client."""
    call = await access_own_call(session, viewer, call_id)
    if contact_id is None:
        raise Invalid("contact_id", "screenpop.link", "Choose a client from the list; a new one has “New client”.")
    if call.client_number is None:
        raise Invalid("contact_id", "screenpop.withheld", "The number is withheld, so it cannot be anybody's.")
    contact = await link_number(session, viewer, contact_id, call.client_number, region=region, now=now)
    await session.flush()
    await choose_contact(session, viewer, call_id, contact_id, now)
    return contact


async def make_client(
    session: AsyncSession,
    viewer: Viewer,
    call_id: int,
    name: str,
    *,
    region: str,
    now: datetime,
    deal_currency: str | None = None,
    completed: Completed | None = None,
) -> Contact:
    """The caller is new: make a client with the call's number, and with ``deal_currency`` a deal if the call has none. ``completed``: what
    the gate of its stage asked for. Raises GateRefused.

    Deals whose title was only the number get the client's name as title.
    """
    call = await access_own_call(session, viewer, call_id)
    if call.client_number is None:
        raise Invalid("name", "screenpop.withheld", "The number is withheld, so it cannot be anybody's.")
    await lock(session, f"client_of:{call.client_number}")
    having = await contacts_of_number(session, call.client_number, all_of_them=True)
    counting = await contacts_of_number(session, call.client_number)
    if counting or any(contact.responsible_id == viewer.user_id for contact in having):
        raise Conflict("contacts.known", "A colleague has just made a client with this number.")
    numbers = [call.client_number]
    client = await create_contact(session, viewer, name=name, phones=numbers, region=region, now=now)
    await session.flush()
    await choose_contact(session, viewer, call_id, client.id or 0, now)
    await _name_deals(session, viewer, call, client, now)
    if deal_currency is not None and call.deal_id is None:
        stage = await stage_of_new(session)
        known = await open_there(session, viewer, stage.pipeline_id, client.id, call.client_number)
        if known.rows:  # the number had an open deal, which is the client's now
            await attach_deal(session, viewer, call_id, known.rows[0].deal.id or 0, now)
            return client
        deal = await create_deal(
            session,
            viewer,
            title=client.name,
            contact_id=client.id,
            client_number=call.client_number,
            currency=deal_currency,
            region=region,
            now=now,
            completed=completed,
            second=True,  # a colleague's deal of this number stays theirs: the client is entered beside it
        )
        await attach_deal(session, viewer, call_id, deal.id or 0, now)
    return client


async def _name_deals(session: AsyncSession, viewer: Viewer, call: Call, client: Contact, now: datetime) -> None:
    """Give the client's name to open deals whose title is still the number or the caller name of the call."""
    unnamed = {
        title_of_new_deal(None, None, call.client_number),
        title_of_new_deal(None, call.client_name, call.client_number),
    }
    found = await session.exec(
        select(Deal).where(
            Deal.contact_id == client.id, col(Deal.closed_at).is_(None), col(Deal.title).in_(sorted(unnamed))
        )
    )
    people = await load_directory(session)
    for deal in found.all():
        await session.refresh(deal)
        await do_edit_deal(session, deal, now, actor=viewer, people=people, values={"title": client.name})


async def attach_deal(session: AsyncSession, viewer: Viewer, call_id: int, deal_id: int, now: datetime) -> None:
    """Attach the call, and the viewer's note on it, to a deal the viewer may edit."""
    call = await access_own_call(session, viewer, call_id)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    people = await load_directory(session)
    await do_set_deal_of_call(session, call, deal.id, now, people)
    await do_attach_notes(session, viewer, call, deal, now)
    record(session, now, "call.attached", "call", call_id, actor=viewer, deal_id=deal_id)
    say_deal_changed(session, deal, now, people)
    say_dock_changed(session, now, viewer.user_id)
