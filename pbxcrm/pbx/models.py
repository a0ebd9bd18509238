"""Tables of PBXs: the latest status and the lease of each, and how far each journal has been applied."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field

from pbxcrm.shared.columns import TableModel, json_object, maybe_utc_column


class PbxStatus(TableModel, table=True):
    """The latest report on a PBX, and which listener holds the lease to apply its facts.

    ``lease_until`` is by the database's clock. ``lease_epoch`` grows with each new holder.
    """

    __tablename__ = "pbx_status"

    pbx: str = Field(max_length=32, primary_key=True)
    state: str = Field(default="starting", max_length=16)
    code: str = Field(default="", max_length=64)
    params: dict[str, str] = json_object()
    reported_at: datetime | None = maybe_utc_column()
    asterisk_version: str | None = Field(default=None, max_length=64)
    last_event_at: datetime | None = maybe_utc_column()
    last_contact_at: datetime | None = maybe_utc_column()  # the last event or answer of the PBX
    clock_offset_seconds: float | None = None
    lag_seconds: float | None = None
    lease_owner: str = Field(default="", max_length=100)
    lease_until: datetime | None = maybe_utc_column()
    lease_epoch: int = Field(default=0, sa_type=BigInteger)


class PbxJournal(TableModel, table=True):
    """How far a listener's journal of a PBX has been applied; each listener writes its own journal.

    ``owner`` is the process that writes it, ``seen_at`` (by the database's clock) its last sign of life, ``is_hearing`` whether
    it hears the PBX. The journal ``""`` is from the time before journals had names.
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
