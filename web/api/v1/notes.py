"""What people wrote on deals and clients and about calls."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.calls.queries import access_call
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.models import Note
from pbxcrm.deals.queries import access_deal
from pbxcrm.notes.access import access_note
from pbxcrm.notes.actions import add_note as write_note
from pbxcrm.notes.actions import pin_note
from pbxcrm.notes.queries import NoteFilter, list_notes
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.errors import Invalid
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, Id, IdText, ListQuery, Moment, needed_text
from web.api.resource import Ask, Page, Resource

notes = Resource("notes", "What people wrote on deals and clients and about calls.")


class NoteOut(ApiAnswer):
    """What somebody wrote about a deal, a client or a call."""

    id: int
    text: str
    deal_id: int | None
    contact_id: int | None
    call_id: int | None
    author: str | None = Field(description="A login.")
    at: Moment
    pinned_at: Moment | None = Field(description="Since when it stands above the timeline of its deal.")


class NoteQuery(ListQuery):
    """Which notes; all conditions must hold."""

    deal_id: IdText | None = None
    contact_id: IdText | None = None
    call_id: IdText | None = None


class NewNote(ApiRequest):
    """A new note on a deal, a client or a call: at least one of them."""

    text: Annotated[str, needed_text(Note.text)]
    deal_id: Id | None = None
    contact_id: Id | None = None
    call_id: Id | None = None


class NoteChange(ApiRequest):
    """Whether the note of a deal is pinned."""

    pinned: bool


@notes.get("/notes", needs=Permission.DEALS_READ, summary="Notes, newest first")
async def read_notes(ask: Ask, query: NoteQuery) -> Page[NoteOut]:
    asked = NoteFilter(query.deal_id, query.contact_id, query.call_id)
    before = checked_cursors.read_id(query.cursor)
    rows = await list_notes(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    return Page[NoteOut].of(await _notes(ask, rows), query.limit, lambda row: checked_cursors.next_of_id(row.id))


@notes.get("/notes/{note_id}", needs=Permission.DEALS_READ, summary="One note")
async def read_note(ask: Ask, note_id: int) -> NoteOut:
    return (await _notes(ask, [await access_note(ask.session, ask.viewer, note_id)]))[0]


@notes.patch("/notes/{note_id}", needs=Permission.DEALS_EDIT, summary="Pin a note above the timeline of its deal")
async def change_note(ask: Ask, note_id: int, body: NoteChange) -> NoteOut:
    """For whoever may change the deal; at most five of one deal are pinned (409)."""
    note = await pin_note(ask.session, ask.viewer, note_id, ask.now, pinned=body.pinned)
    return (await _notes(ask, [note]))[0]


@notes.post("/notes", needs=Permission.NOTES_WRITE, summary="Write a note", location=lambda note: f"/notes/{note.id}")
async def add_note(ask: Ask, body: NewNote) -> NoteOut:
    """On a deal, `@` and the name or login of somebody who sees the deal gives them a task."""
    if body.deal_id is None and body.contact_id is None and body.call_id is None:
        raise Invalid("deal_id", "notes.about", "Say what the note is about: a deal, a client or a call.")
    session, viewer = ask.session, ask.viewer
    deal = await access_deal(session, viewer, body.deal_id) if body.deal_id is not None else None
    contact = await access_contact(session, viewer, body.contact_id) if body.contact_id is not None else None
    call = await access_call(session, viewer, body.call_id) if body.call_id is not None else None
    note = await write_note(
        session, viewer, body.text, ask.now, deal=deal, contact=contact, call_id=call.id if call else None
    )
    return (await _notes(ask, [note]))[0]


async def _notes(ask: Ask, rows: list[Note]) -> list[NoteOut]:
    logins = await logins_of(ask.session, [note.author_id for note in rows])
    return [
        NoteOut(
            id=note.id or 0,
            text=note.text,
            deal_id=note.deal_id,
            contact_id=note.contact_id,
            call_id=note.call_id,
            author=logins.get(note.author_id),
            at=note.at,
            pinned_at=note.pinned_at,
        )
        for note in rows
    ]
