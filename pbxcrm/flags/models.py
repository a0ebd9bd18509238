"""The table of flags."""

from datetime import datetime
from typing import Any

from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, json_object, maybe_link, maybe_utc_column, row_id, utc_column


class Flag(TableModel, table=True):
    """A flag on a deal or a call: exactly one of ``deal_id`` and ``call_id`` is set. It is open until ``resolved_at``."""

    __tablename__ = "flags"

    id: int | None = row_id()
    deal_id: int | None = maybe_link("deals.id")
    call_id: int | None = maybe_link("calls.id")
    reason: str = Field(max_length=1000)
    reason_code: dict[str, Any] = json_object()  # a stored Reason where the product raised it itself, else empty
    raised_by_id: int | None = maybe_link("users.id", index=False)
    raised_at: datetime = utc_column(index=True)
    word: str = Field(default="", max_length=1000)  # what was done about it
    resolved_by_id: int | None = maybe_link("users.id", index=False)
    resolved_at: datetime | None = maybe_utc_column(index=True)
