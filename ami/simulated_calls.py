"""Calls in progress at the simulated PBX: their state so far, and how a person may hang them up or transfer them."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ami.messages import Message, parse
from ami.stories import Cast, RecordedCall, StoryEvent

#: The channel headers that every event about a channel holds.
_OF_CHANNEL = (
    *("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum"),
    *("ConnectedLineName", "Context", "Exten", "Priority", "Uniqueid", "Linkedid"),
)
_OF_BRIDGE = {
    "BridgeType": "basic",
    "BridgeTechnology": "simple_bridge",
    "BridgeCreator": "<unknown>",
    "BridgeName": "<unknown>",
}
#: Gives the time each line is due, in seconds after the first, from the recorded offsets.
Pace = Callable[[list[float]], list[float]]
_PAUSE = 0.8  # seconds; a longer gap in a recording is a person waiting or talking, so it may be stretched


@dataclass(slots=True)
class SimulatedCall:
    """One story being played. ``due`` are the times of its ``lines``, in seconds since 1970."""

    cast: Cast
    lines: list[StoryEvent]
    due: list[float]
    client_number: str
    began: float
    channels: dict[str, Message] = field(default_factory=dict)  # by Uniqueid
    bridges: dict[str, list[str]] = field(default_factory=dict)  # Uniqueids by BridgeUniqueid

    def hear(self, raw: bytes) -> None:
        """Update channels and bridges from an event that was sent."""
        message = parse(raw)
        unique_id = message.get("Uniqueid", "")
        match message["Event"]:
            case "Hangup":
                self.channels.pop(unique_id, None)
            case "OriginateResponse":
                pass
            case "BridgeDestroy":
                self.bridges.pop(message["BridgeUniqueid"], None)
            case name if "Channel" in message:
                self.channels[unique_id] = {key: message[key] for key in _OF_CHANNEL if key in message}
                members = self.bridges.setdefault(message["BridgeUniqueid"], []) if name.startswith("Bridge") else []
                if name == "BridgeEnter" and unique_id not in members:
                    members.append(unique_id)
                elif name == "BridgeLeave" and unique_id in members:
                    members.remove(unique_id)
            case _:
                pass

    def find(self, channel: str) -> Message | None:
        """Find a channel by name or Uniqueid, as Asterisk does; None if there is none."""
        return next((c for c in self.channels.values() if channel in {c["Channel"], c["Uniqueid"]}), None)

    def end(self, now: float) -> Iterator[bytes]:
        """Hang up all channels; the remaining lines of the story are dropped."""
        self.lines.clear()
        self.due.clear()
        for bridge_id, members in list(self.bridges.items()):
            for left, unique_id in enumerate(reversed(members)):
                bridge = {"BridgeUniqueid": bridge_id, **_OF_BRIDGE, "BridgeNumChannels": str(len(members) - left - 1)}
                yield event("BridgeLeave", now, bridge, self.channels[unique_id])
            yield event("BridgeDestroy", now, {"BridgeUniqueid": bridge_id, **_OF_BRIDGE, "BridgeNumChannels": "0"})
        for channel in reversed(list(self.channels.values())):
            yield event("Hangup", now, channel, {"Cause": "16", "Cause-txt": "Normal Clearing"})
        self.channels.clear()
        self.bridges.clear()

    def transfer(self, story: RecordedCall, giver: Message, cast: Cast, now: float, pace: Pace) -> bool:
        """Go on with the second half of a recorded blind transfer; False when ``giver`` is not in a call of two with the client.

        The story's first half brought one phone and the client into a bridge; ``giver`` and the client take their places.
        """
        bridge_id, members = next(((b, m) for b, m in self.bridges.items() if giver["Uniqueid"] in m), ("", []))
        client = next((self.channels[m] for m in members if m != giver["Uniqueid"]), None)
        if client is None or len(members) != 2 or len(self.channels) != 2:
            return False
        said = [parse(cast.speak(line, now)) for line in story.lines]
        half = next(n for n, message in enumerate(said) if message["Event"] == "BridgeLeave")
        entered = [message for message in said[:half] if message["Event"] == "BridgeEnter"]
        for actor, message in zip((giver, client), entered, strict=True):
            cast.replace(message["Channel"], actor["Channel"])
            cast.replace(f"Linkedid: {message['Linkedid']}\r", f"Linkedid: {actor['Linkedid']}\r")
        for actor, message in zip((giver, client), entered, strict=True):
            cast.replace(message["Uniqueid"], actor["Uniqueid"])
        cast.replace(entered[0]["BridgeUniqueid"], bridge_id)
        self.cast = cast
        self.lines = list(story.lines[half:])
        begin = self.lines[0].offset
        self.due = [now + due for due in pace([line.offset - begin for line in self.lines])]
        return True


def schedule(offsets: list[float], dice: random.Random, stretch: float, speed: float) -> list[float]:
    """When each line is due, in seconds after the first. Pauses made by people are up to ``stretch`` times longer; everything is
    ``speed`` times faster.
    """
    due = []
    at = previous = 0.0
    for offset in offsets:
        gap = max(0.0, offset - previous)
        previous = offset
        at += (gap * dice.uniform(1.0, stretch) if gap > _PAUSE else gap) / speed
        due.append(at)
    return due


def event(name: str, now: float, *headers: Mapping[str, str]) -> bytes:
    """The bytes of an AMI event as Asterisk writes it."""
    lines = [f"Event: {name}\r\nTimestamp: {now:.6f}\r\n"]
    lines += [f"{key}: {value}\r\n" for some in headers for key, value in some.items()]
    return "".join(lines).encode() + b"\r\n"
