"""Loads a page of a timeline: a fixed number of queries per kind, merged by time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.access import audible_of
from pbxcrm.deals.merge_queries import with_merged
from pbxcrm.deals.models import Stage
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet, load_fields, load_named
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.timeline.entries import RANK, Entry, EntryKind, Timeline, TimelineCursor, TimelineQuery

Reader = Callable[[AsyncSession, TimelineQuery], Awaitable[list[Entry]]]
_readers: dict[EntryKind, Reader] = {}


def register_sources(readers: Mapping[EntryKind, Reader]) -> None:
    """Register a reader for each kind of entry. Raises ValueError for a second reader of one kind."""
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
    """A page of what happened to a deal, or with a client. The caller must have checked access to the deal or client; calls, notes,
    flags and tasks that the viewer may not see are left out.
    """
    merged = await with_merged(session, deal_id) if deal_id is not None else ()
    asked = TimelineQuery(viewer, deal_id, contact_id, after, limit + 1, merged)
    entries: list[Entry] = []
    for kind in kinds:
        entries += await _readers[kind](session, asked)
    entries.sort(key=lambda entry: (entry.at, RANK[entry.kind], entry.id), reverse=True)
    shown, more = entries[:limit], len(entries) > limit
    users = await load_by_id(session, User, (user_id for e in shown for user_id in (e.by_id, *e.users)))
    stages = await load_by_id(session, Stage, (stage_id for e in shown for stage_id in e.stages))
    fields = await load_fields(session)
    changed = [_changed_values(entry, fields) for entry in shown if entry.kind is EntryKind.CHANGE]
    customs = [each for both in changed for each in both]
    named = await load_named(session, viewer, fields.of(FieldEntity.DEAL, archived=True), customs)
    return Timeline(
        shown,
        stages,
        users,
        shown[-1].cursor if more else None,
        await audible_of(session, viewer, (entry.id for entry in shown if entry.kind is EntryKind.CALL)),
        fields,
        named,
        await load_directory(session),
    )


def _changed_values(entry: Entry, fields: FieldSet) -> list[dict[str, Any]]:
    """The values of custom fields before and after a change, as a row would hold them."""
    assert isinstance(entry.row, AuditEntry)
    changed = entry.row.data.get("changed", {})
    known = fields.by_key(FieldEntity.DEAL, archived=True)
    ids = {
        name: str(known[key].id) for name in changed if (key := name.removeprefix("fields.")) != name and key in known
    }
    return [{ids[name]: changed[name][when] for name in ids} for when in ("before", "after")]
