"""The table of digests: one row per person and day, so that none is sent twice."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, link, maybe_utc_column, row_id, utc_column


class DigestState(StrEnum):
    """The state of a digest. ``sending`` for longer than an attempt takes means that the sender died; it may have been sent."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    EMPTY = "empty"  # there was nothing to report, or no recipient
    FAILED = "failed"


WAITS = text("state IN ('waiting', 'sending')")


class Digest(TableModel, table=True):
    """The digest of a person for one local day. A worker that sends it claims this row."""

    __tablename__ = "digests"
    __table_args__ = (
        UniqueConstraint("user_id", "day"),
        Index("ix_digests_waits", "next_at", sqlite_where=WAITS, postgresql_where=WAITS),
    )

    id: int | None = row_id()
    user_id: int = link("users.id", ondelete="CASCADE", index=False)
    day: date  # in the person's time zone
    state: str = Field(default=DigestState.WAITING.value, max_length=8)  # a DigestState
    next_at: datetime = utc_column()  # when to try next; for ``sending``: when to give up
    tries: int = 0
    error: str = Field(default="", max_length=500)  # the last answer of the mail server
    sent_at: datetime | None = maybe_utc_column()
