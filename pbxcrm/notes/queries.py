"""Queries for notes."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Note
from pbxcrm.notes.access import visible_notes

MOST_PINNED = 5  # of one deal


@dataclass(frozen=True, slots=True)
class NoteFilter:
    """The filters of a list of notes; None does not filter."""

    deal_id: int | None = None
    contact_id: int | None = None
    call_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for notes."""
        asked = ((Note.deal_id, self.deal_id), (Note.contact_id, self.contact_id), (Note.call_id, self.call_id))
        return [col(column) == value for column, value in asked if value is not None]


async def list_notes(
    session: AsyncSession, viewer: Viewer, asked: NoteFilter, *, before: int | None = None, limit: int = 50
) -> list[Note]:
    """Notes that the viewer may see, newest first. ``before``: only those with a smaller id."""
    query = select(Note).where(visible_notes(viewer), *asked.conditions()).order_by(col(Note.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Note.id) < before)
    return list((await session.exec(query)).all())


async def pinned_notes(session: AsyncSession, deal_id: int) -> list[Note]:
    """The pinned notes of a deal that the viewer sees, the last pinned first."""
    query = select(Note).where(Note.deal_id == deal_id, col(Note.pinned_at).is_not(None))
    return list((await session.exec(query.order_by(col(Note.pinned_at).desc(), col(Note.id).desc()))).all())
