"""Erases a client on request. What the law lets stay stays without the person: that there was a call, a deal and its amount, a task.

Nothing leads back: rows are overwritten, not hidden; stored merges and bulk changes, from which an undo would bring values back, are
deleted. The audit log says who erased whom by the number of the row, without a name.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Executable, Table, and_, delete, or_, select, update
from sqlmodel import SQLModel, col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.models import EpisodeStatus
from pbxcrm.calls.models import Call
from pbxcrm.calls.recordings import delete_recording
from pbxcrm.contacts.audience import audience_of_contact
from pbxcrm.contacts.merge_queries import CLIENTS
from pbxcrm.deals.actions import say_deal_changed
from pbxcrm.deals.models import Deal, DealPerson
from pbxcrm.people.directory import load_directory
from pbxcrm.privacy.access import access_to_erase
from pbxcrm.privacy.queries import Held, held_of
from pbxcrm.privacy.reasons import ERASED
from pbxcrm.privacy.rules import GONE, check_confirmed, word_of_confirmation
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.events import emit
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.erase_actions import do_forget_tasks
from pbxcrm.tasks.models import TaskStatus

FolderOf = Callable[[str], Path | None]
_TABLES = SQLModel.metadata.tables
PERSON_CHANGES = ("deal.person_added", "deal.person_role", "deal.person_removed")
AT_ONCE = 500  # ids in one statement


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. ``kept_recordings``: names of files that the disk refused to delete."""

    calls: int
    recordings: int
    notes: int
    kept_recordings: list[str]


async def erase_client(
    session: AsyncSession, viewer: Viewer, contact_id: int, confirm: str, folder_of: FolderOf, *, now: datetime
) -> Erased:
    """Erase the client and everybody merged into them; ``confirm`` is what the viewer typed, ``folder_of`` the recordings of a PBX by its name.

    Raises Conflict while a deal, a task or a callback of the client is open, Invalid at ``confirm``, NotAllowed, NotFound.
    """
    contact = await access_to_erase(session, viewer, contact_id)
    held = await held_of(session, contact)
    check_confirmed(confirm, word_of_confirmation(contact.name, held.numbers))
    await lock_all(session, [f"client:{number}" for number in held.numbers])
    contacts = _TABLES["contacts"]
    await fetch(session, select(contacts.c.id).where(contacts.c.id.in_(held.contacts)).with_for_update())
    held = await held_of(session, contact)
    await _check_closed(session, held)
    people = await load_directory(session)
    heard = await audience_of_contact(session, contact, people)
    changed = set(held.deals)
    for some in _parts(held.contacts):  # deals of others lose the client as one of their people
        with_them = select_rows(DealPerson.deal_id).where(col(DealPerson.contact_id).in_(some))
        changed.update((await session.exec(with_them)).all())
    for some in _parts(sorted(changed)):
        for deal in (await session.exec(select_rows(Deal).where(col(Deal.id).in_(some)))).all():
            say_deal_changed(session, deal, now, people)
    deleted, kept = await _erase_recordings(session, held.calls, folder_of)
    await session.flush()
    await _overwrite(session, held)
    await _forget(session, held, now)
    await session.flush()
    session.expunge_all()
    record(
        session,
        now,
        "contact.erased",
        "contact",
        contact_id,
        actor=viewer,
        calls=len(held.calls),
        deals=len(held.deals),
        recordings=deleted,
        kept=len(kept),
    )
    emit(session, "contact", contact_id, now, users=heard.users, roles=heard.roles)
    return Erased(len(held.calls), deleted, len(held.notes), kept)


async def _check_closed(session: AsyncSession, held: Held) -> None:
    """Work that goes on needs its client: it is ended first, by a person who says how."""
    deals, tasks, episodes = _TABLES["deals"], _TABLES["tasks"], _TABLES["episodes"]
    open_ones = (
        (deals, held.deals, and_(deals.c.closed_at.is_(None), deals.c.merged_into_id.is_(None))),
        (tasks, held.tasks, tasks.c.status == TaskStatus.OPEN.value),
        (episodes, held.callbacks, episodes.c.status == EpisodeStatus.OPEN.value),
    )
    for table, ids, is_open in open_ones:
        for some in _parts(ids):
            if await fetch(session, select(table.c.id).where(table.c.id.in_(some), is_open).limit(1)):
                raise Conflict(
                    "privacy.open_work",
                    "Something of this client is still open. Close the open deals, tasks and callbacks first.",
                )


async def _erase_recordings(session: AsyncSession, calls: Sequence[int], folder_of: FolderOf) -> tuple[int, list[str]]:
    """Delete the files before the rows forget them: after a fault in between the erasure is simply asked for again."""
    deleted, kept = 0, list[str]()
    for some in _parts(calls):
        for call in (await session.exec(select_rows(Call).where(col(Call.id).in_(some)))).all():
            outcome = await asyncio.to_thread(delete_recording, call, folder_of(call.pbx))
            deleted += outcome is True
            if isinstance(outcome, str):
                kept.append(outcome)
    return deleted, kept


async def _overwrite(session: AsyncSession, held: Held) -> None:
    """What stays, without the person."""
    why = reason(ERASED).stored()
    nobody: dict[str, Any] = {"client_number": None, "contact_id": None}
    no_name = {"client_heard": None, "client_name": None, "client_name_folded": ""}
    no_file: dict[str, Any] = {"recording": None, "channel_ids": [], "outside": None, "dialled": None, "reason": why}
    await _set(session, "calls", held.calls, {**nobody, **no_name, **no_file})
    titles = {"title": GONE, "title_folded": GONE}
    await _set(session, "deals", held.deals, {**nobody, **titles, "custom": {}, "reason": why})
    deals, pauses, lamps = _TABLES["deals"], _TABLES["pauses"], _TABLES["lamps"]
    for some in _parts(held.deals):
        lost = and_(
            deals.c.id.in_(some), deals.c.lost_reason != ""
        )  # that it was lost for a reason stays, the words go
        await _run(session, update(deals).where(lost).values(lost_reason=GONE))
        await _run(session, update(pauses).where(pauses.c.deal_id.in_(some)).values(why=GONE))
        await _run(session, update(lamps).where(lamps.c.deal_id.in_(some)).values(note="", error=""))
        moves, choices = _TABLES["stage_moves"], _TABLES["distribution_choices"]
        await _run(session, update(moves).where(moves.c.deal_id.in_(some)).values(reason=why, from_lost_reason=""))
        await _run(session, update(choices).where(choices.c.deal_id.in_(some)).values(subject=GONE, reason=why))
    for some in _parts(held.tasks):
        await do_forget_tasks(session, some, GONE, why)
    for each in held.callbacks:
        told = {"client_key": f"erased:{each}", "reason": why, "closed_reason": why}
        await _set(session, "episodes", [each], {**nobody, **told})
    for some in _parts(held.callbacks):
        await _run(session, update(lamps).where(lamps.c.callback_id.in_(some)).values(note="", error=""))
        attempts = _TABLES["attempts"]
        await _run(session, update(attempts).where(attempts.c.episode_id.in_(some)).values(note="", before={}))
    blank = dict.fromkeys(("name", "email", "subject", "text", "page", "referrer", "message_id"), "")
    rest: dict[str, Any] = {
        "number": None,
        "contact_id": None,
        "answers": [],
        "files": [],
        "utm": {},
        "fault": {},
        "reason": why,
    }
    await _set(session, "form_requests", held.requests, {**blank, **rest})
    orders = _TABLES["phone_commands"]
    of_number = and_(orders.c.contact_id.is_(None), orders.c.client_number.in_(held.numbers))
    of_them = or_(orders.c.contact_id.in_(held.contacts), of_number)
    await _run(session, update(orders).where(of_them).values(**nobody))
    listed = _TABLES["special_numbers"]
    await _run(session, update(listed).where(listed.c.number.in_(held.numbers)).values(note=""))


async def _forget(session: AsyncSession, held: Held, now: datetime) -> None:
    """What goes: words, files, all from which an undo would bring something back, and the client."""
    await _delete(session, "notes", "id", held.notes)
    await _delete(session, "files", "id", held.files)  # a worker sweeps the bytes that no row needs
    for column, ids in (("deal_id", held.deals), ("call_id", held.calls)):
        await _delete(session, "flags", column, ids)
    await _delete(session, "bulk_changes", "deal_id", held.deals)
    for side in ("from_id", "into_id"):
        await _delete(session, "deal_merges", side, held.deals)
        await _delete(session, "merges", side, held.contacts)
    await _delete(session, "callers", "number", held.numbers)
    words = _TABLES["search_words"]
    for kind, ids in (("contacts", held.contacts), ("notes", held.notes), ("deals", held.deals)):
        for some in _parts(ids):
            await _run(session, delete(words).where(words.c.kind == kind, words.c.row_id.in_(some)))
    await _delete(session, "deal_tags", "deal_id", held.deals)
    audit = _TABLES["audit"]
    await _forget_as_person(session, held)
    of_entity = {
        "contact": held.contacts, "deal": held.deals, "call": held.calls, "task": held.tasks, "callback": held.callbacks,
        "request": held.requests,
    }  # fmt: skip
    for entity, ids in of_entity.items():
        for some in _parts([str(one) for one in ids]):
            of_them = and_(audit.c.entity == entity, audit.c.entity_id.in_(some))
            await _run(session, update(audit).where(of_them).values(data={}, reason={}))
    of_numbers = and_(audit.c.entity == "number", audit.c.entity_id.in_(held.numbers))
    await _run(session, update(audit).where(of_numbers).values(entity_id=GONE, data={}))
    for link in CLIENTS.links:  # also tables that are added later
        of_client = link.column.in_(held.contacts)
        left = update(link.table).values({link.column.name: None}) if link.column.nullable else delete(link.table)
        await _run(session, left.where(of_client))
    for table, column in (("phones", "contact_id"), ("emails", "contact_id"), ("not_same", "low_id")):
        await _delete(session, table, column, held.contacts)
    await _delete(session, "not_same", "high_id", held.contacts)
    names = {"name": "", "name_folded": "", "name_key": "", "note": "", "custom": {}}
    nothing = {"birth_year": None, "birth_day": None, "company_id": None, "responsible_id": None, "erased_at": now}
    await _set(session, "contacts", held.contacts, {**names, **nothing})  # the rows keep their ids for themselves


async def _forget_as_person(session: AsyncSession, held: Held) -> None:
    """On deals of others on which the client was, the audit log names them, with their role."""
    audit, people = _TABLES["audit"], _TABLES["deal_people"]
    for some in _parts(held.contacts):
        found = await fetch(session, select(people.c.deal_id).where(people.c.contact_id.in_(some)))
        for entities in _parts([str(one) for one in {row[0] for row in found}]):
            told = and_(audit.c.entity == "deal", audit.c.entity_id.in_(entities), audit.c.action.in_(PERSON_CHANGES))
            entries = await fetch(session, select(audit.c.id, audit.c.data).where(told))
            of_them = [row[0] for row in entries if row[1].get("contact_id") in some]
            await _set(session, "audit", of_them, {"data": {}})


async def _run(session: AsyncSession, statement: Executable) -> None:
    await (await session.connection()).execute(statement)


async def _set(session: AsyncSession, name: str, ids: Sequence[int], values: dict[str, Any]) -> None:
    table = _TABLES[name]
    if "version" in table.c:
        values = {**values, "version": table.c.version + 1}
    for some in _parts(ids):
        await _run(session, update(table).where(table.c.id.in_(some)).values(**values))


async def _delete(session: AsyncSession, name: str, column: str, ids: Collection[Any]) -> None:
    table: Table = _TABLES[name]
    for some in _parts(list(ids)):
        await _run(session, delete(table).where(table.c[column].in_(some)))


def _parts(ids: Sequence[Any]) -> list[Sequence[Any]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
