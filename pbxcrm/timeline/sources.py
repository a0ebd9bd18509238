"""The readers of a timeline, one per kind of entry. ``pbxcrm.composition`` registers them."""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact, Merge
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note, StageMove
from pbxcrm.files.access import visible_files
from pbxcrm.files.models import AttachedFile
from pbxcrm.flags.access import visible_flags
from pbxcrm.flags.models import Flag
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task
from pbxcrm.timeline.entries import RANK, Entry, EntryKind, TimelineQuery

Row = TypeVar("Row")
#: Actions that only the audit log records.
CHANGES = (
    "deal.assigned",
    "deal.edited",
    "deal.tagged",
    "deal.person_added",
    "deal.person_role",
    "deal.person_removed",
    "deal.lines",
)
MERGES = ("deal.merged", "deal.unmerged")


def page_of(
    query: SelectOfScalar[Row], kind: EntryKind, at: Any, row_id: Any, asked: TimelineQuery
) -> SelectOfScalar[Row]:
    """``query`` limited to the newest rows after the cursor ``asked.after``; ``at`` and ``row_id`` are columns or expressions."""
    after = asked.after
    if after is not None and RANK[kind] < RANK[after.kind]:
        query = query.where(at <= after.at)
    elif after is not None and RANK[kind] > RANK[after.kind]:
        query = query.where(at < after.at)
    elif after is not None:
        query = query.where(or_(at < after.at, and_(at == after.at, row_id < after.id)))
    return query.order_by(at.desc(), row_id.desc()).limit(asked.limit)


async def read_calls(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Calls of the deal or client that the viewer may see."""
    at, own = col(Call.started_at), _of(Call, asked)
    query = select(Call).where(own, visible_calls(asked.viewer), col(Call.merged_into_id).is_(None))
    found = await session.exec(page_of(query, EntryKind.CALL, at, col(Call.id), asked))
    return [
        Entry(EntryKind.CALL, call.started_at, call.id or 0, call, call.responsible_id, call.reason)
        for call in found.all()
    ]


async def read_moves(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Moves of the deal, and of deals merged into it, between stages; none for a client."""
    if asked.deal_id is None:
        return []
    at = col(StageMove.at)
    query = select(StageMove).where(col(StageMove.deal_id).in_(asked.with_merged))
    found = await session.exec(page_of(query, EntryKind.MOVE, at, col(StageMove.id), asked))
    return [
        Entry(
            EntryKind.MOVE,
            move.at,
            move.id or 0,
            move,
            move.by_id,
            move.reason,
            stages=(move.from_stage_id, move.to_stage_id),
        )
        for move in found.all()
    ]


async def read_changes(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Changes of the deal, and of deals merged into it, that only the audit log records; none for a client."""
    if asked.deal_id is None:
        return []
    at = col(AuditEntry.at)
    of_it = [str(one) for one in asked.with_merged]
    query = select(AuditEntry).where(
        AuditEntry.entity == "deal",
        or_(
            and_(col(AuditEntry.entity_id).in_(of_it), col(AuditEntry.action).in_(CHANGES)),
            and_(col(AuditEntry.entity_id) == str(asked.deal_id), col(AuditEntry.action).in_(MERGES)),
        ),
    )
    found = await session.exec(page_of(query, EntryKind.CHANGE, at, col(AuditEntry.id), asked))
    return [
        Entry(
            EntryKind.CHANGE,
            change.at,
            change.id or 0,
            change,
            change.actor_id,
            change.reason,
            users=_given_to(change),
        )
        for change in found.all()
    ]


async def read_notes(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Notes on the deal; or on the client, without those on deals that the viewer may not see."""
    at = col(Note.at)
    own = _of(Note, asked)
    if asked.deal_id is None:  # a note on a colleague's deal is private to those who see the deal
        seen = select(Deal.id).where(visible_deals(asked.viewer))
        own = and_(own, or_(col(Note.deal_id).is_(None), col(Note.deal_id).in_(seen)))
    query = select(Note).where(own)
    found = await session.exec(page_of(query, EntryKind.NOTE, at, col(Note.id), asked))
    return [Entry(EntryKind.NOTE, note.at, note.id or 0, note, note.author_id, {}) for note in found.all()]


async def read_merges(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Merges into the client and merges out of it that were undone; none for a deal. Everybody who sees the client sees them."""
    if asked.contact_id is None:
        return []
    undone = col(Merge.undone_at).is_not(None)
    of_it = or_(col(Merge.into_id) == asked.contact_id, and_(col(Merge.from_id) == asked.contact_id, undone))
    query = page_of(select(Merge).where(of_it), EntryKind.MERGE, col(Merge.at), col(Merge.id), asked)
    merges = (await session.exec(query)).all()
    others = {merge.id: merge.from_id if merge.into_id == asked.contact_id else merge.into_id for merge in merges}
    clients = await load_by_id(session, Contact, others.values())
    return [
        Entry(
            EntryKind.MERGE,
            merge.at,
            merge.id or 0,
            merge,
            merge.by_id,
            reason("contact.merged", client=clients[others[merge.id]].name).stored(),
            users=(merge.undone_by_id,),
        )
        for merge in merges
    ]


async def read_flags(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Flags on the deal and its calls, or on the client's deals and calls, that the viewer may see."""
    at = col(Flag.raised_at)
    calls = select(Call.id).where(_of(Call, asked))
    deals = col(Flag.deal_id) == asked.deal_id
    if asked.deal_id is None:
        deals = col(Flag.deal_id).in_(select(Deal.id).where(col(Deal.contact_id) == asked.contact_id))
    query = select(Flag).where(or_(deals, col(Flag.call_id).in_(calls)), visible_flags(asked.viewer))
    found = await session.exec(page_of(query, EntryKind.FLAG, at, col(Flag.id), asked))
    return [
        Entry(EntryKind.FLAG, flag.raised_at, flag.id or 0, flag, flag.raised_by_id, {}, (flag.resolved_by_id,))
        for flag in found.all()
    ]


async def read_files(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Files on the deal, or on the deals of the client that one sees; those that were removed say so."""
    at, own = col(AttachedFile.at), col(AttachedFile.deal_id) == asked.deal_id
    if asked.deal_id is None:
        own = col(AttachedFile.deal_id).in_(select(Deal.id).where(col(Deal.contact_id) == asked.contact_id))
    query = select(AttachedFile).where(own, visible_files(asked.viewer))
    found = await session.exec(page_of(query, EntryKind.FILE, at, col(AttachedFile.id), asked))
    return [
        Entry(EntryKind.FILE, file.at, file.id or 0, file, file.by_id, {}, (file.removed_by_id,))
        for file in found.all()
    ]


async def read_tasks(session: AsyncSession, asked: TimelineQuery) -> list[Entry]:
    """Tasks that the viewer may see, at the time they were created; once done, at the time they were done."""
    at = func.coalesce(col(Task.done_at), col(Task.created_at), type_=UtcDateTime())
    query = select(Task).where(_of(Task, asked), visible_tasks(asked.viewer))
    found = await session.exec(page_of(query, EntryKind.TASK, at, col(Task.id), asked))
    return [
        Entry(
            EntryKind.TASK,
            task.done_at or task.created_at,
            task.id or 0,
            task,
            task.done_by_id if task.done_at is not None else task.created_by_id,
            task.reason,
            users=(task.assignee_id,),
        )
        for task in found.all()
    ]


def _of(table: type[Call | Note | Task], asked: TimelineQuery) -> ColumnElement[bool]:
    if asked.deal_id is not None:
        return col(table.deal_id) == asked.deal_id
    return col(table.contact_id) == asked.contact_id


def _given_to(change: AuditEntry) -> tuple[int | None, ...]:
    """The id of the new responsible person; empty for other changes, whose values may also be integers."""
    after = change.data.get("after")
    return (after,) if change.action == "deal.assigned" and isinstance(after, int) else ()
