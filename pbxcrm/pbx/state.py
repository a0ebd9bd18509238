"""What a listener says of its PBX, how far it has told, and its right to tell."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PbxState(StrEnum):
    """What the listener of a PBX does now; the status page and ``/metrics`` say it."""

    STARTING = "starting"
    CONNECTING = "connecting"
    SYNCING = "syncing"  # logged in, comparing what is going on with what we knew
    LISTENING = "listening"
    STANDBY = "standby"  # another listener holds the lease
    REFUSED = "refused"  # the PBX refuses our name or secret; not tried again until the settings change
    UNREACHABLE = "unreachable"
    SILENT = "silent"  # the link is there, but the PBX does not answer
    TROUBLE = "trouble"  # connected, but something is wrong on our side (disk full, database gone)


@dataclass(frozen=True, slots=True)
class PbxReport:
    """What the listener has to say of one PBX, in plain words; shown by ``doctor`` and the status page.

    ``code`` names the message in ``pbxcrm.shared.reasons``; ``params`` fill it in.
    """

    pbx: str
    state: PbxState
    code: str
    params: dict[str, str]
    at: datetime
    asterisk_version: str | None = None
    last_event_at: datetime | None = None
    clock_offset_seconds: float | None = None  # PBX's clock minus ours
    lag_seconds: float | None = None  # from the socket to the committed database


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """How far one journal of a PBX has been applied. Positions are byte offsets that only grow; 0 is the beginning."""

    position: int  # what it says before this is in the database
    replay_from: int  # where reading must begin so that the tracker knows the calls that are still open


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one listener to apply what a PBX says. ``epoch`` grows with each new holder, so a former one is refused."""

    owner: str
    epoch: int


class LeaseLost(RuntimeError):
    """Another listener follows the PBX now; nothing of this batch was applied."""
