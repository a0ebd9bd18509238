"""The table of the audit log: who changed what, and why the product itself did something."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, json_object, maybe_link, row_id, utc_column


class AuditEntry(TableModel, table=True):
    """One logged change. ``actor_id`` None means the product itself; then ``reason`` (a stored Reason) says why."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_entity", "entity", "entity_id"),)

    id: int | None = row_id()
    at: datetime = utc_column(index=True)
    actor_id: int | None = maybe_link("users.id")
    action: str = Field(max_length=64)  # "deal.created"
    entity: str = Field(max_length=32)
    entity_id: str = Field(max_length=64)
    reason: dict[str, Any] = json_object()
    data: dict[str, Any] = json_object()
