"""The table of timers. Due timers are found in the database (``pbxcrm.shared.jobs``), so that none is lost in a restart."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import json_object, maybe_utc_column, row_id, utc_column


class Timer(SQLModel, table=True):
    """A deadline. ``key`` identifies it (``callbacks.norm:17``): setting it again moves it, so it fires only once."""

    __tablename__ = "timers"
    __table_args__ = (
        Index(
            "ix_timers_due", "due_at", sqlite_where=text("done_at IS NULL"), postgresql_where=text("done_at IS NULL")
        ),
    )

    id: int | None = row_id()
    kind: str = Field(max_length=64)
    key: str = Field(max_length=150, unique=True)
    due_at: datetime = utc_column()
    payload: dict[str, Any] = json_object()
    done_at: datetime | None = maybe_utc_column()
    tries: int = 0
    error: str = Field(default="", max_length=500)
