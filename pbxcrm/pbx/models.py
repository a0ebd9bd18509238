"""Tables of PBXs: what was last said of each, who may apply what it says, and how far each journal has been applied."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from pbxcrm.shared.columns import json_object, maybe_utc_column


class PbxStatus(SQLModel, table=True):
    """What the listener last said of a PBX, and which one holds the lease to apply what the PBX says.

    ``lease_until`` is a time of the database. ``lease_epoch`` grows with each new holder.
    """

    __tablename__ = "pbx_status"

    pbx: str = Field(max_length=32, primary_key=True)
    state: str = Field(default="starting", max_length=16)
    code: str = Field(default="", max_length=64)
    params: dict[str, str] = json_object()
    reported_at: datetime | None = maybe_utc_column()
    asterisk_version: str | None = Field(default=None, max_length=64)
    last_event_at: datetime | None = maybe_utc_column()
    clock_offset_seconds: float | None = None
    lag_seconds: float | None = None
    lease_owner: str = Field(default="", max_length=100)
    lease_until: datetime | None = maybe_utc_column()
    lease_epoch: int = Field(default=0, sa_type=BigInteger)


class PbxJournal(SQLModel, table=True):
    """How far one listener's journal of a PBX has been applied; each machine writes a journal of its own.

    ``owner`` is the process that writes it, ``seen_at`` (a time of the database) when it last said so, ``is_hearing`` whether
    it is logged in at the PBX. The journal ``""`` is the one of before journals had names.
    """

    __tablename__ = "pbx_journals"

    pbx: str = Field(max_length=32, primary_key=True)
    journal: str = Field(max_length=40, primary_key=True)
    position: int = Field(default=0, sa_type=BigInteger)
    replay_from: int = Field(default=0, sa_type=BigInteger)
    owner: str = Field(default="", max_length=100)
    host: str = Field(default="", max_length=100)
    seen_at: datetime | None = maybe_utc_column()
    is_hearing: bool = False
