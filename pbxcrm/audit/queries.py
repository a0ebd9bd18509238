"""Queries for the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.models import AuditEntry
from pbxcrm.shared.conditions import equal, within

_MOST_READ = 1000  # edits of one row; in which of them a field changed stands in their data


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The filters of the audit log; None and empty do not filter. ``by_itself``: only changes by the product itself. ``since`` is
    inclusive, ``until`` exclusive.
    """

    actor_id: int | None = None
    by_itself: bool = False
    action: str = ""
    entity: str = ""
    entity_id: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for entries."""
        found: list[ColumnElement[bool]] = [col(AuditEntry.actor_id).is_(None)] if self.by_itself else []
        found += equal(
            (AuditEntry.actor_id, self.actor_id),
            (AuditEntry.action, self.action),
            (AuditEntry.entity, self.entity),
            (AuditEntry.entity_id, self.entity_id),
        )
        return found + within(AuditEntry.at, self.since, self.until)


async def list_entries(
    session: AsyncSession, viewer: Viewer, asked: AuditFilter, *, before: int | None = None, limit: int = 50
) -> Sequence[AuditEntry]:
    """Entries of all people, newest first, for those who may change the settings. ``before``: only those with a smaller id.

    Raises NotAllowed.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    query = select(AuditEntry).where(*asked.conditions()).order_by(col(AuditEntry.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditEntry.id) < before)
    return (await session.exec(query)).all()


async def list_assignments(session: AsyncSession, entity: str, entity_id: int, *, limit: int = 50) -> list[AuditEntry]:
    """The entries that gave a row to somebody, newest first. The caller must have checked access to the row."""
    query = select(AuditEntry).where(
        AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id), AuditEntry.action == f"{entity}.assigned"
    )
    return list((await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit))).all())


async def list_edits(
    session: AsyncSession, entity: str, entity_id: int, field: str, *, limit: int = 50
) -> list[AuditEntry]:
    """The entries that changed a field of a row, newest first. The caller must have checked access to the row."""
    action = f"{entity}.edited"
    query = select(AuditEntry).where(
        AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id), AuditEntry.action == action
    )
    found = (await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(_MOST_READ))).all()
    return [entry for entry in found if field in entry.data.get("changed", {})][:limit]
