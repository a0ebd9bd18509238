"""Values that a listener exchanges with the database: its report, its journal position and its lease."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PbxState(StrEnum):
    """What the listener of a PBX does now; shown on the status page and in ``/metrics``."""

    STARTING = "starting"
    CONNECTING = "connecting"
    SYNCING = "syncing"  # logged in, taking a snapshot
    LISTENING = "listening"
    STANDBY = "standby"  # another listener holds the lease
    REFUSED = "refused"  # the PBX refuses our user or secret; no retry until the settings change
    UNREACHABLE = "unreachable"
    SILENT = "silent"  # the link is there, but the PBX does not answer
    TROUBLE = "trouble"  # connected, but something is wrong on our side (disk full, database gone)


@dataclass(frozen=True, slots=True)
class PbxReport:
    """The listener's report on one PBX; shown by ``doctor`` and the status page.

    ``code`` names the message in ``pbxcrm.pbx.report_sentences``; ``params`` fill it in.
    """

    pbx: str
    state: PbxState
    code: str
    params: dict[str, str]
    at: datetime
    asterisk_version: str | None = None
    last_event_at: datetime | None = None
    last_contact_at: datetime | None = None  # the last event or answer to us (a ping), by our clock
    clock_offset_seconds: float | None = None  # PBX's clock minus ours
    lag_seconds: float | None = None  # from the socket to the committed database


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """How far one journal of a PBX has been applied. Positions are byte offsets that only grow; 0 is the beginning."""

    position: int  # everything before this is in the database
    replay_from: int  # where reading must begin so that the tracker knows the open calls


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one listener to apply facts of a PBX. ``epoch`` grows with each new holder, so a former one is refused.

    Each batch that is applied renews it for ``seconds``.
    """

    owner: str
    epoch: int
    seconds: float = field(default=2.0, compare=False)


class LeaseLost(RuntimeError):
    """Another listener holds the lease now; nothing of this batch was applied."""
