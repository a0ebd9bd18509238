"""Deletes the notes about a client who is erased."""

from sqlalchemy import or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.deals.models import Note
from pbxcrm.notes.actions import say_note_changed
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_notes(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. A note on another client's deal is part of that deal and only loses the client."""
    held = erasing.held
    about = or_(one_of(session, col(Note.id), held.notes), one_of(session, col(Note.contact_id), held.contacts))
    for note in await lock_rows(session, Note, about):
        await say_note_changed(session, note, erasing.at)
        if note.id in held.notes:
            await session.delete(note)  # by the ORM, which takes its words out of the search index
        else:
            note.contact_id = None
            note.version += 1
    await session.flush()
