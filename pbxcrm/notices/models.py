"""Tables of notices: the digest of each person and day, so that none is sent twice."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import link, maybe_utc_column, row_id, utc_column


class DigestState(StrEnum):
    """``sending`` for longer than an attempt takes: whoever sent it has died, and nobody knows whether it went out."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    EMPTY = "empty"  # there was nothing to say
    FAILED = "failed"


WAITS = text("state IN ('waiting', 'sending')")


class Digest(SQLModel, table=True):
    """One person's digest of one day of theirs; its row is the claim on it."""

    __tablename__ = "digests"
    __table_args__ = (
        UniqueConstraint("user_id", "day"),
        Index("ix_digests_waits", "next_at", sqlite_where=WAITS, postgresql_where=WAITS),
    )

    id: int | None = row_id()
    user_id: int = link("users.id", ondelete="CASCADE", index=False)
    day: date  # where the person works
    state: str = Field(default=DigestState.WAITING.value, max_length=8)  # a DigestState
    next_at: datetime = utc_column()  # when it is tried again; of one that is being sent: when it is given up
    tries: int = 0
    error: str = Field(default="", max_length=500)  # what the mail server said last
    sent_at: datetime | None = maybe_utc_column()
