"""What is kept about a client: the ids of the rows of every context that name them."""

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, not_, or_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.contacts.hooks import Held
from pbxcrm.contacts.models import Contact, Email, Merge, Phone
from pbxcrm.deals.models import Deal, Note
from pbxcrm.files.models import AttachedFile
from pbxcrm.forms.models import FormRequest
from pbxcrm.tasks.models import Task


async def held_of(session: AsyncSession, contact: Contact) -> Held:
    """Everything about a client, whoever of the colleagues may see it. The caller has checked access to the client.

    A row that names another client is not the client's, whatever its number or address: a number that was theirs may have been
    somebody else's before.
    """
    contacts = await _with_merged(session, contact.id or 0)
    numbers, addresses = await _only_theirs(session, contacts)

    def others_deal(deal_id: Any) -> ColumnElement[bool]:
        client = col(Deal.contact_id)
        return exists().where(col(Deal.id) == deal_id, client.is_not(None), client.not_in(contacts))

    def theirs(client: Any, deal_id: Any, *otherwise: ColumnElement[bool]) -> ColumnElement[bool]:
        """A row without a client of its own is found ``otherwise``, unless it is on another client's deal."""
        return or_(client.in_(contacts), and_(client.is_(None), not_(others_deal(deal_id)), or_(*otherwise)))

    def through_work(table: type[Task] | type[Note], *otherwise: ColumnElement[bool]) -> ColumnElement[bool]:
        """What is on another client's deal is part of that deal, whomever it is about."""
        client, deal, call = col(table.contact_id), col(table.deal_id), col(table.call_id)
        found = theirs(client, deal, deal.in_(deals), and_(deal.is_(None), call.in_(calls)), *otherwise)
        return and_(found, not_(others_deal(deal)))

    made = or_(
        col(Deal.contact_id).in_(contacts), and_(col(Deal.contact_id).is_(None), col(Deal.client_number).in_(numbers))
    )
    deals = await _ids(session, Deal, made)
    called = theirs(
        col(Call.contact_id), col(Call.deal_id), col(Call.client_number).in_(numbers), col(Call.deal_id).in_(deals)
    )
    calls = await _ids(session, Call, called)
    missed = theirs(
        col(Episode.contact_id),
        col(Episode.deal_id),
        col(Episode.client_number).in_(numbers),
        col(Episode.deal_id).in_(deals),
    )
    callbacks = await _ids(session, Episode, missed)
    of_callback = select(Episode.task_id).where(col(Episode.id).in_(callbacks))
    tasks = await _ids(session, Task, through_work(Task, col(Task.id).in_(of_callback)))
    parts = through_work(Task, col(Task.part_of_id).in_(tasks))  # of lamps
    tasks = sorted({*tasks, *await _ids(session, Task, and_(col(Task.part_of_id).in_(tasks), parts))})
    notes = await _ids(session, Note, through_work(Note))
    request = FormRequest
    sender = or_(col(request.number).in_(numbers), col(request.email).in_(addresses))
    sent = theirs(col(request.contact_id), col(request.deal_id), col(request.deal_id).in_(deals), sender)
    requests = await _ids(session, FormRequest, sent)
    files = await _ids(
        session, AttachedFile, or_(col(AttachedFile.deal_id).in_(deals), col(AttachedFile.task_id).in_(tasks))
    )
    return Held(contacts, numbers, addresses, deals, calls, tasks, notes, callbacks, requests, files)


async def _with_merged(session: AsyncSession, contact_id: int) -> list[int]:
    found, new = [contact_id], [contact_id]
    while new:
        asked = select(Contact.id).where(col(Contact.merged_into_id).in_(new))
        new = [one for one in (await session.exec(asked)).all() if one is not None and one not in found]
        found += new
    return found


async def _only_theirs(session: AsyncSession, contacts: list[int]) -> tuple[list[str], list[str]]:
    """The numbers and addresses of these clients, also those that a merge remembers, that nobody else has."""
    numbers = set((await session.exec(select(Phone.number).where(col(Phone.contact_id).in_(contacts)))).all())
    emails = (
        await session.exec(select(Email.address, Email.address_key).where(col(Email.contact_id).in_(contacts)))
    ).all()
    addresses = {written for pair in emails for written in pair}
    merges = await session.exec(select(Merge).where(col(Merge.into_id).in_(contacts)))
    for merge in merges.all():
        if merge.undone_at is None:
            numbers |= {one["key"] for one in merge.numbers}
            addresses |= {written for one in merge.emails for written in (one["key"], one["written"])}
    others = col(Phone.contact_id).not_in(contacts)
    shared = set((await session.exec(select(Phone.number).where(col(Phone.number).in_(numbers), others))).all())
    theirs = col(Email.contact_id).not_in(contacts)
    keys = await session.exec(select(Email.address_key).where(col(Email.address_key).in_(addresses), theirs))
    kept = set(keys.all())
    return sorted(numbers - shared), sorted(one for one in addresses if one.casefold() not in kept)


async def _ids(session: AsyncSession, table: type[SQLModel], condition: ColumnElement[bool]) -> list[int]:
    asked = select(table.id).where(condition).order_by(table.id)  # type: ignore[attr-defined]
    return list((await session.exec(asked)).all())
