"""What a PBX shows of itself in the middle of a recorded stream: the snapshot a listener would be given there."""

from collections.abc import Sequence
from datetime import datetime

from ami import cel
from ami.messages import Message
from ami.snapshot import BridgeSeen, Headers, Snapshot

_SHOWN = (
    "Channel",
    "ChannelStateDesc",
    "CallerIDNum",
    "CallerIDName",
    "ConnectedLineNum",
    "Context",
    "Exten",
    "Linkedid",
)


class Shown:
    """Feed it the messages up to the moment; ``snapshot`` is what the PBX would answer then."""

    def __init__(self) -> None:
        self.channels: dict[str, Headers] = {}
        self.bridges: dict[str, tuple[str, list[str]]] = {}  # its technology, and who is in it
        self.waiting: dict[str, Headers] = {}
        self.dialled: dict[str, str] = {}  # by which application a channel was called

    def happens(self, message: Message) -> None:
        for prefix in ("", "Dest"):
            self._describe(message, prefix)
        channel_id, bridge_id = message.get("Uniqueid", ""), message.get("BridgeUniqueid", "")
        match message["Event"]:
            case "Hangup":
                self.channels.pop(channel_id, None)
                self.waiting.pop(channel_id, None)
            case "BridgeEnter":
                technology, members = self.bridges.setdefault(bridge_id, (message.get("BridgeTechnology", ""), []))
                swapped = message.get("SwapUniqueid", "")
                self.bridges[bridge_id] = (
                    technology,
                    [m for m in members if m not in {swapped, channel_id}] + [channel_id],
                )
            case "BridgeLeave" if bridge_id in self.bridges:
                technology, members = self.bridges[bridge_id]
                self.bridges[bridge_id] = technology, [m for m in members if m != channel_id]
            case "BridgeDestroy":
                self.bridges.pop(bridge_id, None)
            case "DialBegin":
                self.dialled[message.get("DestUniqueid", "")] = "AppDial" if channel_id else "AppDial2"
            case "QueueCallerJoin":
                self.waiting[channel_id] = {"Queue": message.get("Queue", ""), "Uniqueid": channel_id, "Position": "1"}
            case "QueueCallerLeave":
                self.waiting.pop(channel_id, None)
            case _:
                pass

    def _describe(self, message: Message, prefix: str) -> None:
        channel_id = message.get(f"{prefix}Uniqueid", "")
        if message["Event"] == "Newchannel" and not prefix:
            self.channels[channel_id] = {"Uniqueid": channel_id}
        if (seen := self.channels.get(channel_id)) is not None:
            seen |= {name: message[prefix + name] for name in _SHOWN if prefix + name in message}

    def _application(self, channel_id: str, apps: dict[str, cel.Row]) -> str:
        by_file = apps[channel_id].app if channel_id in apps else ""
        return by_file or self.dialled.get(channel_id, "")

    def snapshot(self, rows: Sequence[cel.Row], now: datetime, booted_at: datetime | None = None) -> Snapshot:
        """``rows`` are the file's until now: by them the channels' applications are known, which few events tell."""
        apps = {row.unique_id: row for row in rows}
        bridges = {member: bridge_id for bridge_id, (_, members) in self.bridges.items() for member in members}
        channels = tuple(
            seen
            | {"Application": self._application(channel_id, apps)}
            | {"BridgeId": bridges.get(channel_id, ""), "Duration": "00:00:00"}
            for channel_id, seen in self.channels.items()
        )
        found = tuple(
            BridgeSeen(bridge_id, "basic", technology, tuple(members))
            for bridge_id, (technology, members) in self.bridges.items()
        )
        return Snapshot(channels, found, tuple(self.waiting.values()), booted_at=booted_at, asked_at=now)
