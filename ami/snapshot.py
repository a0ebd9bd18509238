"""The state of a PBX at one moment: taken after every login, because AMI repeats no events.

The listener collects it (``CoreStatus``, ``CoreShowChannels``, ``BridgeList`` with one ``BridgeInfo`` per bridge,
``QueueStatus``) while live events wait, writes it to the journal as one record, and passes it to ``Tracker.reconcile``.
So a replay of the journal finds it at the same place.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: Header names as Asterisk spells them, values as text. The same shape as ``ami.messages.Message``.
Headers = dict[str, str]

#: How the record of a snapshot begins in the journal; Asterisk never sends an event of this name.
RECORD_START = b"Event: PbxcrmSnapshot\r\nData: "


@dataclass(frozen=True, slots=True)
class BridgeSeen:
    """A bridge from ``BridgeListItem`` and ``BridgeInfoChannel``."""

    bridge_id: str  # BridgeUniqueid
    bridge_type: str  # "basic", "park", "base" …
    technology: str  # "simple_bridge", "holding_bridge", "softmix" …
    channel_ids: tuple[str, ...]  # Uniqueids of the channels in it


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A PBX at one moment.

    ``channels`` are the ``CoreShowChannel`` events as they came (Uniqueid, Linkedid, Channel, ChannelStateDesc, CallerIDNum,
    CallerIDName, ConnectedLineNum, Context, Exten, Application, ApplicationData, Duration "HH:MM:SS", BridgeId).
    ``waiting`` are the ``QueueEntry`` events: callers in queues (Queue, Position, Uniqueid, Wait in seconds).
    ``booted_at`` is the PBX's own wall clock at its last start, taken as UTC without knowing its time zone (AMI does not
    say it): compare it with an earlier ``booted_at`` of the same PBX, never with our clock.
    ``position`` is its place in the journal; the horizon of a call first seen here.
    ``asked_at`` is when it was requested, by the PBX's clock if known: earlier events are reflected in it.
    ``clock_offset`` is the PBX's clock minus ours in seconds; None if unknown.
    """

    channels: tuple[Headers, ...]
    bridges: tuple[BridgeSeen, ...] = ()
    waiting: tuple[Headers, ...] = ()
    booted_at: datetime | None = None
    asterisk_version: str | None = None
    position: int | None = None
    asked_at: datetime | None = None
    clock_offset: float | None = None

    def to_record(self) -> bytes:
        """The snapshot as one journal record (without ``position``, which only the journal knows)."""
        data = {
            "channels": self.channels,
            "bridges": [[b.bridge_id, b.bridge_type, b.technology, list(b.channel_ids)] for b in self.bridges],
            "waiting": self.waiting,
            "booted_at": self.booted_at.isoformat() if self.booted_at else None,
            "asterisk_version": self.asterisk_version,
            "asked_at": self.asked_at.isoformat() if self.asked_at else None,
            "clock_offset": self.clock_offset,
        }
        return RECORD_START + json.dumps(data).encode() + b"\r\n\r\n"


def is_record(raw: bytes) -> bool:
    """Whether a journal record is a snapshot."""
    return raw.startswith(RECORD_START)


def from_record(raw: bytes, position: int | None = None) -> Snapshot:
    """Read back what ``to_record`` wrote. Raises ValueError when it is something else."""
    if not is_record(raw):
        raise ValueError("this journal record is not a snapshot")
    data: dict[str, Any] = json.loads(raw[len(RECORD_START) :])
    return Snapshot(
        channels=tuple(data["channels"]),
        bridges=tuple(BridgeSeen(i, kind, tech, tuple(ids)) for i, kind, tech, ids in data["bridges"]),
        waiting=tuple(data["waiting"]),
        booted_at=datetime.fromisoformat(data["booted_at"]) if data["booted_at"] else None,
        asterisk_version=data["asterisk_version"],
        asked_at=datetime.fromisoformat(data["asked_at"]) if data.get("asked_at") else None,
        clock_offset=data.get("clock_offset"),
        position=position,
    )


def boot_time(core_status: Headers) -> datetime | None:
    """``CoreStartupDate`` and ``CoreStartupTime`` of a ``CoreStatus`` response as one time; None if missing."""
    text = f"{core_status.get('CoreStartupDate', '')} {core_status.get('CoreStartupTime', '')}"
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
