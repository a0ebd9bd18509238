"""Everything that happened to a deal or with a client, in one list, newest on top.

One query per kind for a page of any length: calls, tasks, notes, moves between stages and changes, merged by their moment.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, audible_of, visible_calls, visible_deals, visible_tasks
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.models import Call
from pbxcrm.deals.models import Deal, Note, Stage, StageMove
from pbxcrm.people.models import User
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.tasks.models import Task

CHANGES = ("deal.assigned", "deal.edited")  # what the audit log knows that no other table says


class EntryKind(StrEnum):
    """Declaration order breaks ties; later members are shown first."""

    CALL = "call"
    MOVE = "move"
    CHANGE = "change"
    NOTE = "note"
    TASK = "task"


RANK = {kind: place for place, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. Exactly one of ``call move note task change`` is set; ``by`` is None for the product itself."""

    kind: EntryKind
    at: datetime
    id: int
    by: User | None = None
    call: Call | None = None
    move: StageMove | None = None
    note: Note | None = None
    task: Task | None = None
    change: AuditEntry | None = None

    @property
    def reason(self) -> dict[str, Any]:
        """The stored reason of an automatic act; empty where there is none."""
        told = self.call or self.move or self.task or self.change
        return told.reason if told is not None else {}

    @property
    def cursor(self) -> str:
        """Where the next part of the list begins, for ``TimelineCursor.parse``."""
        return f"{self.at.timestamp()!r}_{self.kind.value}_{self.id}"


@dataclass(frozen=True, slots=True)
class Timeline:
    entries: list[Entry]
    stages: dict[int, Stage]
    users: dict[int, User]
    next: str | None  # cursor of the next part
    audible: frozenset[int]  # calls whose recording may be heard


@dataclass(frozen=True, slots=True)
class TimelineCursor:
    at: datetime
    kind: EntryKind
    id: int

    @classmethod
    def parse(cls, text: str, like: datetime) -> "TimelineCursor | None":
        """The place that ``Entry.cursor`` named; None for anything else."""
        try:
            at, kind, entry_id = text.split("_")
            moment = datetime.fromtimestamp(float(at), like.tzinfo)
            if not 1970 <= moment.year <= 2200 or not (entry_id.isdecimal() and len(entry_id) <= 18):
                return None
            return cls(moment, EntryKind(kind), int(entry_id))
        except (ValueError, OverflowError, OSError):
            return None


async def timeline(
    session: AsyncSession,
    viewer: Viewer,
    *,
    deal_id: int | None = None,
    contact_id: int | None = None,
    kinds: frozenset[EntryKind] = frozenset(EntryKind),
    after: TimelineCursor | None = None,
    limit: int = 40,
) -> Timeline:
    """What happened to a deal, or with a client (calls, notes and tasks one may see). The caller has checked the access."""
    entries: list[Entry] = []
    for kind in kinds:
        entries += await _READERS[kind](session, viewer, deal_id, contact_id, after, limit + 1)
    entries.sort(key=lambda entry: (entry.at, RANK[entry.kind], entry.id), reverse=True)
    shown, more = entries[:limit], len(entries) > limit
    users = await _users(session, shown)
    stage_ids = {
        stage_id for e in shown if e.move is not None for stage_id in (e.move.from_stage_id, e.move.to_stage_id)
    }
    stages = (await session.exec(select(Stage).where(col(Stage.id).in_(stage_ids)))).all() if stage_ids else []
    named = [_with_name(entry, users) for entry in shown]
    return Timeline(
        named,
        {stage.id: stage for stage in stages if stage.id is not None},
        users,
        named[-1].cursor if more else None,
        await audible_of(session, viewer, (entry.call.id for entry in shown if entry.call is not None)),
    )


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


async def _calls(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    at, own = col(Call.started_at), _of(Call, deal_id, contact_id)
    found = await session.exec(
        select(Call)
        .where(own, visible_calls(viewer), col(Call.merged_into_id).is_(None))
        .where(_before(after, EntryKind.CALL, at, col(Call.id)))
        .order_by(at.desc(), col(Call.id).desc())
        .limit(limit)
    )
    return [Entry(EntryKind.CALL, call.started_at, call.id or 0, call=call) for call in found.all()]


async def _moves(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
    if deal_id is None:
        return []
    at = col(StageMove.at)
    found = await session.exec(
        select(StageMove)
        .where(StageMove.deal_id == deal_id, _before(after, EntryKind.MOVE, at, col(StageMove.id)))
        .order_by(at.desc(), col(StageMove.id).desc())
        .limit(limit)
    )
    return [Entry(EntryKind.MOVE, move.at, move.id or 0, move=move) for move in found.all()]


async def _changes(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
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
    return [Entry(EntryKind.CHANGE, entry.at, entry.id or 0, change=entry) for entry in found.all()]


async def _notes(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int | None,
    contact_id: int | None,
    after: TimelineCursor | None,
    limit: int,
) -> list[Entry]:
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
    return [Entry(EntryKind.NOTE, note.at, note.id or 0, note=note) for note in found.all()]


async def _tasks(
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
    return [Entry(EntryKind.TASK, task.done_at or task.created_at, task.id or 0, task=task) for task in found.all()]


_READERS = {
    EntryKind.CALL: _calls,
    EntryKind.MOVE: _moves,
    EntryKind.CHANGE: _changes,
    EntryKind.NOTE: _notes,
    EntryKind.TASK: _tasks,
}


def _of(table: type[Call | Note | Task], deal_id: int | None, contact_id: int | None) -> ColumnElement[bool]:
    return col(table.deal_id) == deal_id if deal_id is not None else col(table.contact_id) == contact_id


def _who(entry: Entry) -> int | None:
    if entry.move is not None:
        return entry.move.by_id
    if entry.note is not None:
        return entry.note.author_id
    if entry.task is not None:
        return entry.task.done_by_id if entry.task.done_at is not None else entry.task.created_by_id
    if entry.change is not None:
        return entry.change.actor_id
    return entry.call.responsible_id if entry.call is not None else None


async def _users(session: AsyncSession, entries: list[Entry]) -> dict[int, User]:
    wanted = {_who(entry) for entry in entries} | {e.task.assignee_id for e in entries if e.task is not None}
    for entry in entries:
        if entry.change is not None:
            wanted |= {value for value in (entry.change.data.get("after"),) if isinstance(value, int)}
    found = await session.exec(select(User).where(col(User.id).in_(wanted - {None})))
    return {user.id: user for user in found.all() if user.id is not None}


def _with_name(entry: Entry, users: dict[int, User]) -> Entry:
    by = users.get(_who(entry) or 0)
    return Entry(entry.kind, entry.at, entry.id, by, entry.call, entry.move, entry.note, entry.task, entry.change)
