"""Writing notes: no other module does. Each change of a note is heard by exactly those who see the note.

A note on a deal is told to those who watch the deal, and whoever it names by ``@`` gets a task (``notes.mention_actions``).
"""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import Audience
from pbxcrm.audit.actions import record
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import access_deal_for_change
from pbxcrm.deals.hooks import DealFollowed
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.watcher_actions import say_to_watchers
from pbxcrm.notes.access import access_note
from pbxcrm.notes.audience import audience_of_note
from pbxcrm.notes.mention_actions import tell_mentioned
from pbxcrm.notes.queries import MOST_PINNED, pinned_notes
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import add_rows
from pbxcrm.shared.early_ids import add_soon
from pbxcrm.shared.errors import Conflict, NotFound
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_optional_text, check_text, cut
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.news import NewsKind


async def add_note(
    session: AsyncSession,
    viewer: Viewer,
    text: str,
    now: datetime,
    *,
    deal: Deal | None = None,
    contact: Contact | None = None,
    call_id: int | None = None,
) -> Note:
    """Add a note on a deal, on a contact or about a call. The caller must have checked access to them. Raises Invalid, NotAllowed.

    People whom the text names by ``@`` and who see the deal are told.
    """
    check(viewer, Permission.NOTES_WRITE)
    text = check_text(text, Note.text, "text", "deals.note", "Write a note of up to {most} characters.")
    note = Note(
        deal_id=deal.id if deal else None,
        contact_id=contact.id if contact else (deal.contact_id if deal else None),
        call_id=call_id,
        author_id=viewer.user_id,
        text=text,
        at=now,
    )
    await _add(session, note, now)
    if deal is not None:
        await tell_mentioned(session, viewer, note, deal, now)
        await say_to_watchers(
            session, deal, (NewsKind.NOTE, note.id), now, await load_directory(session), actor_id=viewer.user_id
        )
    return note


async def do_add_note(
    session: AsyncSession, text: str, now: datetime, *, deal: Deal | None = None, contact_id: int | None = None
) -> Note:
    """Add a note that nobody wrote, on a deal or on a client: a rule did. It names nobody."""
    new = Note(
        deal_id=deal.id if deal else None,
        contact_id=deal.contact_id if deal else contact_id,
        author_id=None,
        text=cut(text, Note.text),
        at=now,
    )
    await add_soon(session, new)
    await say_note_changed(session, new, now)
    if deal is not None:
        await say_to_watchers(session, deal, (NewsKind.NOTE, new.id), now, await load_directory(session), actor_id=None)
    return new


async def do_take_back_note(session: AsyncSession, note_id: int, version: int, now: datetime) -> bool:
    """Delete a note that a rule added. Returns False, without deleting it, if it has changed since."""
    if await session.get(Note, note_id) is None:
        return True
    note = await lock_row(session, Note, note_id)
    if note.version != version or note.author_id is not None:
        return False
    await say_note_changed(session, note, now)
    await session.delete(note)
    return True


async def pin_note(session: AsyncSession, viewer: Viewer, note_id: int, now: datetime, *, pinned: bool) -> Note:
    """Pin a note of a deal that the viewer may change above its timeline, or unpin it. Does nothing if it is so already.

    Raises Conflict for more than ``MOST_PINNED``, NotFound, NotAllowed.
    """
    note = await access_note(session, viewer, note_id)
    if note.deal_id is None:
        raise NotFound("notes.not_found", "There is no such note, or it is a colleague's.")
    await access_deal_for_change(session, viewer, note.deal_id, None)
    note = await lock_row(session, Note, note_id)
    if (note.pinned_at is not None) is pinned:
        return note
    if pinned and len(await pinned_notes(session, note.deal_id or 0)) >= MOST_PINNED:
        raise Conflict("notes.too_many_pinned", "At most {most} notes are pinned. Unpin one first.", most=MOST_PINNED)
    note.pinned_at = now if pinned else None
    note.version += 1
    record(
        session, now, "note.pinned" if pinned else "note.unpinned", "deal", note.deal_id, actor=viewer, note_id=note_id
    )
    await say_note_changed(session, note, now)
    return note


async def do_save_note_of_call(session: AsyncSession, viewer: Viewer, call: Call, text: str, now: datetime) -> None:
    """Save the note that the viewer types on the card of a call: one per call and person. An empty text deletes it. Raises Invalid."""
    text = check_optional_text(text, Note.text, "text")
    note = next(iter(await _own_notes(session, viewer, call.id)), None)
    if note is None:
        if text:
            new = Note(
                call_id=call.id,
                deal_id=call.deal_id,
                contact_id=call.contact_id,
                author_id=viewer.user_id,
                text=text,
                at=now,
            )
            await _add(session, new, now)
        return
    before = await _heard(session, note)
    if text:
        note.text, note.deal_id = text, note.deal_id or call.deal_id
        note.version += 1
        await say_note_changed(session, note, now, also=before)
    else:
        await session.delete(note)
        emit(session, "note", note.id, now, users=before.users, roles=before.roles)


async def do_attach_notes(session: AsyncSession, viewer: Viewer, call: Call, deal: Deal, now: datetime) -> None:
    """Move the viewer's notes about the call to the deal. The caller must have checked access."""
    for note in await _own_notes(session, viewer, call.id):
        before = await _heard(session, note)
        note.deal_id = deal.id
        await say_note_changed(session, note, now, also=before)


async def copy_notes(session: AsyncSession, followed: DealFollowed) -> None:
    """Handler of ``deals.hooks.deal_followed``: the deal that follows gets the notes of the one that was won."""
    notes = select(Note).where(Note.deal_id == followed.won.id).order_by(col(Note.id))
    for note in (await session.exec(notes)).all():
        copy = Note(
            deal_id=followed.made.id,
            contact_id=followed.made.contact_id,
            call_id=note.call_id,
            author_id=note.author_id,
            text=note.text,
            at=note.at,
        )
        await _add(session, copy, followed.at)


async def say_note_changed(session: AsyncSession, note: Note, at: datetime, also: Audience | None = None) -> None:
    """Notify everybody who sees the note, and ``also`` those who saw it before."""
    heard = await _heard(session, note)
    heard = heard | also if also is not None else heard
    emit(session, "note", note.id, at, users=heard.users, roles=heard.roles)


async def _add(session: AsyncSession, note: Note, at: datetime) -> Note:
    await add_rows(session, note)
    await say_note_changed(session, note, at)
    return note


async def _heard(session: AsyncSession, note: Note) -> Audience:
    return await audience_of_note(session, note, await load_directory(session))


async def _own_notes(session: AsyncSession, viewer: Viewer, call_id: int | None) -> list[Note]:
    own = select(Note).where(Note.call_id == call_id, Note.author_id == viewer.user_id).order_by(col(Note.id))
    return list((await session.exec(own)).all())
