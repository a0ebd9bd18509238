"""Writing to the audit log, in the same transaction as the logged change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.db import before_commit
from pbxcrm.shared.hooks import Hook
from pbxcrm.shared.many_rows import add_many
from pbxcrm.shared.reasons import Reason

#: Key in ``session.info``: what this transaction records is kept in the log, but no rule of automation acts on it.
UNHEARD = "audit_unheard"
#: Key in ``session.info``: why this transaction does what it records now. The log does not keep it; whoever hears of the entry gets it.
CAUSE = "audit_cause"
ENTRIES = "audit"  # key in ``session.info``: entries to write in one statement just before the commit


#: An entry as it is written: the columns of ``AuditEntry`` without its id.
Recorded = dict[str, Any]
#: These entries were written, in the transaction of the change that they tell of; beside each its ``CAUSE``, if it had one.
recorded: Hook[list[tuple[Recorded, Any]]] = Hook("audit.recorded")


def keep_unheard(session: AsyncSession, unheard: bool = True) -> None:
    """No rule of automation acts on what this transaction records, if ``unheard``: whoever changes many rows at once may say so."""
    if unheard:
        session.info[UNHEARD] = True


def record(
    session: AsyncSession,
    at: datetime,
    action: str,
    entity: str,
    entity_id: object,
    *,
    actor: Viewer | None,
    reason: Reason | None = None,
    **data: Any,
) -> None:
    """Log ``action`` on an entity. ``actor`` None means the product itself. Raises ValueError if then ``reason`` is missing."""
    if actor is None and reason is None:
        raise ValueError(f"{action}: an automatic act needs a reason")
    entries: list[tuple[Recorded, Any]] = session.info.setdefault(ENTRIES, [])
    if not entries:
        before_commit(session, write_down)
    entry = {
        "at": at,
        "actor_id": actor.user_id if actor else None,
        "action": action,
        "entity": entity,
        "entity_id": str(entity_id),
        "reason": reason.stored() if reason else {},
        "data": data,
    }
    entries.append((entry, session.info.get(CAUSE)))


#: The longest list of filters that is kept of an export.
MOST_KEPT = 2000
EXPORTED = {"deal": "deals.exported", "contact": "contacts.exported", "company": "companies.exported"}


def record_export(session: AsyncSession, at: datetime, viewer: Viewer, entity: str, query: str) -> None:
    """Log that the viewer takes a filtered list of these out as a file; ``query`` has the filters of the address."""
    record(session, at, EXPORTED[entity], entity, 0, actor=viewer, query=query[:MOST_KEPT])


async def write_down(session: AsyncSession) -> None:
    """Write the entries recorded so far now, for code that reads the log in the transaction of the change."""
    entries: list[tuple[Recorded, Any]] = session.info.pop(ENTRIES, [])
    if entries:
        await add_many(session, AuditEntry, [entry for entry, _ in entries])
        await recorded(session, entries)


async def do_forget_details(
    session: AsyncSession, entity: str, ids: Sequence[object], *only: ColumnElement[bool], **values: Any
) -> None:
    """Empty the details and reasons of entries about rows of a client who is erased: that something was done stays, and who did it.

    ``only`` narrows the entries; ``values`` are written besides.
    """
    await write_down(session)
    about = one_of(session, col(AuditEntry.entity_id), [str(one) for one in ids])
    change = (
        update(AuditEntry).where(col(AuditEntry.entity) == entity, about, *only).values(data={}, reason={}, **values)
    )
    await session.exec(change.execution_options(synchronize_session=False))
