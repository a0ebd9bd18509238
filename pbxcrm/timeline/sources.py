"""Where entries come from: one reader per kind, each of one query. ``pbxcrm.composition`` registers them."""

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note, StageMove
from pbxcrm.flags.access import visible_flags
from pbxcrm.flags.models import Flag
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task
from pbxcrm.timeline.entries import RANK, Entry, EntryKind, TimelineCursor

CHANGES = ("deal.assigned", "deal.edited")  # what the audit log knows that no other table says


def _before(after: TimelineCursor | None, kind: EntryKind, at: Any, row_id: Any) -> ColumnElement[bool]:
    """Rows of ``kind`` that stand below ``after``; ``at`` and ``row_id`` are columns or expressions of any table."""
    if after is None:
        return and_(True)
    if RANK[kind] < RANK[after.kind]:
        found: ColumnElement[bool] = at <= after.at
    elif RANK[kind] > RANK[after.kind]:
        found = at < after.at
    else:
        found = or_(at < after.at, and_(at == after.at, row_id < after.id))
    return found


async def read_calls(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """Calls that the viewer may see."""
    at, own = col(Call.started_at), _of(Call, deal_id, contact_id)
    found = await session.exec(
        select(Call)
        .where(own, visible_calls(viewer), col(Call.merged_into_id).is_(None))
        .where(_before(after, EntryKind.CALL, at, col(Call.id)))
        .order_by(at.desc(), col(Call.id).desc())
        .limit(limit)
    )
    return [
        Entry(EntryKind.CALL, call.started_at, call.id or 0, call, call.responsible_id, call.reason)
        for call in found.all()
    ]


async def read_moves(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """Moves of the deal between stages; none for a client."""
    if deal_id is None:
        return []
    at = col(StageMove.at)
    found = await session.exec(
        select(StageMove)
        .where(StageMove.deal_id == deal_id, _before(after, EntryKind.MOVE, at, col(StageMove.id)))
        .order_by(at.desc(), col(StageMove.id).desc())
        .limit(limit)
    )
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


async def read_changes(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """What the audit log alone knows of the deal; none for a client."""
    if deal_id is None:
        return []
    at = col(AuditEntry.at)
    found = await session.exec(
        select(AuditEntry)
        .where(AuditEntry.entity == "deal", AuditEntry.entity_id == str(deal_id), col(AuditEntry.action).in_(CHANGES))
        .where(_before(after, EntryKind.CHANGE, at, col(AuditEntry.id)))
        .order_by(at.desc(), col(AuditEntry.id).desc())
        .limit(limit)
    )
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


async def read_notes(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """Notes on the deal, or on the client without those on deals of others."""
    at = col(Note.at)
    own = _of(Note, deal_id, contact_id)
    if deal_id is None:  # a note about a colleague's deal is the colleague's
        seen = select(Deal.id).where(visible_deals(viewer))
        own = and_(own, or_(col(Note.deal_id).is_(None), col(Note.deal_id).in_(seen)))
    found = await session.exec(
        select(Note)
        .where(own, _before(after, EntryKind.NOTE, at, col(Note.id)))
        .order_by(at.desc(), col(Note.id).desc())
        .limit(limit)
    )
    return [Entry(EntryKind.NOTE, note.at, note.id or 0, note, note.author_id, {}) for note in found.all()]


async def read_flags(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """Flags on the deal or its calls, or on the deals and calls of the client, as far as one sees them."""
    at = col(Flag.raised_at)
    calls = select(Call.id).where(_of(Call, deal_id, contact_id))
    deals = col(Flag.deal_id) == deal_id
    if deal_id is None:
        deals = col(Flag.deal_id).in_(select(Deal.id).where(col(Deal.contact_id) == contact_id))
    found = await session.exec(
        select(Flag)
        .where(or_(deals, col(Flag.call_id).in_(calls)), visible_flags(viewer))
        .where(_before(after, EntryKind.FLAG, at, col(Flag.id)))
        .order_by(at.desc(), col(Flag.id).desc())
        .limit(limit)
    )
    return [
        Entry(EntryKind.FLAG, flag.raised_at, flag.id or 0, flag, flag.raised_by_id, {}, (flag.resolved_by_id,))
        for flag in found.all()
    ]


async def read_tasks(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    """A task stands where it was made, and once it is done, where it was done."""
    at = func.coalesce(col(Task.done_at), col(Task.created_at), type_=UtcDateTime())
    found = await session.exec(
        select(Task)
        .where(_of(Task, deal_id, contact_id), visible_tasks(viewer))
        .where(_before(after, EntryKind.TASK, at, col(Task.id)))
        .order_by(at.desc(), col(Task.id).desc())
        .limit(limit)
    )
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


def _of(table: type[Call | Note | Task], deal_id: int | None, contact_id: int | None) -> ColumnElement[bool]:
    return col(table.deal_id) == deal_id if deal_id is not None else col(table.contact_id) == contact_id


def _given_to(change: AuditEntry) -> tuple[int | None, ...]:
    """Whom a deal was given to; nobody for other changes, whose values may be numbers, too."""
    after = change.data.get("after")
    return (after,) if change.action == "deal.assigned" and isinstance(after, int) else ()
