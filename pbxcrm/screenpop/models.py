"""What is left to do after a call: its outcome and the next step, once per person who talked."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field

from pbxcrm.shared.columns import ID, TableModel, json_object, maybe_utc_column, utc_column


class Disposition(StrEnum):
    """The outcome of a conversation, as the user gave it."""

    NEXT_STEP = "next_step"  # there is something to do next
    DONE = "done"  # the client's matter is settled
    NOT_INTERESTED = "not_interested"
    WRONG_NUMBER = "wrong_number"


class WrapUp(TableModel, table=True):
    """One person's wrap-up of one call. It and its card stay open until the person gives the outcome."""

    __tablename__ = "wrap_ups"

    call_id: int = Field(foreign_key="calls.id", primary_key=True, sa_type=ID, ondelete="CASCADE")
    user_id: int = Field(foreign_key="users.id", primary_key=True, sa_type=ID, index=True)
    talked_at: datetime = utc_column()
    done_at: datetime | None = maybe_utc_column(index=True)
    disposition: str = Field(default="", max_length=16)  # a Disposition; empty while open or closed without one
    made: dict[str, Any] = json_object()  # what finishing made, for undo: {"task": 5, "deal": 7, "version": 3}
