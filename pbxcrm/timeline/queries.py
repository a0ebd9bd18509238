"""Reads a page of a timeline: one query per kind, whatever its length, merged by time."""

from collections.abc import Awaitable, Callable, Mapping

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.access import audible_of
from pbxcrm.deals.models import Stage
from pbxcrm.people.models import User
from pbxcrm.timeline.entries import RANK, Entry, EntryKind, Timeline, TimelineCursor

Reader = Callable[
    [AsyncSession, Viewer, int | None, int | None, TimelineCursor | None, int], Awaitable[list[Entry]]
]  # session, viewer, deal id or contact id, what is shown already, at most so many
_readers: dict[EntryKind, Reader] = {}


def register_sources(readers: Mapping[EntryKind, Reader]) -> None:
    """Say how the entries of each kind are read. Raises ValueError for a second reader of one kind."""
    for kind, reader in readers.items():
        if _readers.setdefault(kind, reader) is not reader:
            raise ValueError(f"two readers for {kind} in the timeline")


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
        entries += await _readers[kind](session, viewer, deal_id, contact_id, after, limit + 1)
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
