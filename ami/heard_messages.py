"""Remembers which events of each channel were heard, so that the PBX's own record of a gap adds only the others.

A message is identified by kind and channel, and counted: the third BridgeEnter of a channel is also the third in the file.
So neither a difference of the clocks nor the exact beginning of the gap matters.
"""

from collections import Counter
from datetime import datetime, timedelta

from ami.messages import Message

Key = tuple[str, ...]

#: Asterisk stamps a CEL row and the AMI message of the same event at two places in its code.
_STAMPED_APART = timedelta(milliseconds=200)
#: Events that happen once, unlike a state that may be reported twice.
_ONCE = frozenset({"AttendedTransfer", "BlindTransfer", "Pickup"})
_MOST_CHANNELS = 20_000  # remembered; the oldest are forgotten first


class Heard:
    """Counts the messages fed to the tracker. Pass every live message to ``note`` and every message of a file to ``is_new``.

    Events between the login and the snapshot come from both.
    """

    def __init__(self) -> None:
        self._of_channel: dict[str, Counter[Key]] = {}
        self._told: dict[str, Counter[Key]] = {}  # by the file, since ``begin_file``
        self._ahead: Counter[Key] = Counter()  # came from the file and may still come live
        self._file_ends: datetime | None = None

    def note(self, message: Message, at: datetime) -> bool:
        """Count a live message that happened ``at``; False if the file has already told of it."""
        key = _key(message)
        if key is None:
            return True
        if self._ahead[key] and self._file_ends is not None and at <= self._file_ends + _STAMPED_APART:
            self._ahead[key] -= 1
            return False
        self._counter(key[1])[key] += 1
        return True

    def begin_file(self, ends: datetime) -> None:
        """Begin the messages of a file, which ``ends`` at that time."""
        self._told.clear()
        self._ahead.clear()
        self._file_ends = ends

    def is_new(self, message: Message) -> bool:
        """Whether the next message of a file was not heard live; if so, it counts as heard from now on."""
        key = _key(message)
        if key is None:
            return True
        told, heard = self._told.setdefault(key[1], Counter()), self._counter(key[1])
        told[key] += 1
        if told[key] <= heard[key]:
            return False
        heard[key] = told[key]
        if key[0] in _ONCE:
            self._ahead[key] += 1
        return True

    def _counter(self, channel_id: str) -> Counter[Key]:
        counter = self._of_channel.get(channel_id)
        if counter is None:
            counter = self._of_channel[channel_id] = Counter()
            if len(self._of_channel) > _MOST_CHANNELS:
                del self._of_channel[next(iter(self._of_channel))]
        return counter


def _key(message: Message) -> Key | None:
    """Event, its channel, and what else distinguishes it from others of its kind; None for other events."""
    event = message.get("Event", "")
    match event:
        case "DialBegin" | "DialEnd":
            return event, message.get("DestUniqueid", "")
        case "Newstate":
            return event, message.get("Uniqueid", ""), message.get("ChannelStateDesc", "")
        case "BridgeEnter" | "BridgeLeave":
            return event, message.get("Uniqueid", ""), message.get("BridgeUniqueid", "")
        case "BlindTransfer":
            return event, message.get("TransfererUniqueid", "")
        case "AttendedTransfer":
            return event, message.get("OrigTransfererUniqueid", "")
        case "Pickup":
            return event, message.get("TargetUniqueid", "")
        case "QueueCallerJoin" | "QueueCallerLeave":
            return event, message.get("Uniqueid", ""), message.get("Queue", "")
        case "UserEvent":
            return event, message.get("Uniqueid", ""), message.get("UserEvent", "").lower()
        case "VarSet":
            return event, message.get("Uniqueid", ""), message.get("Variable", "")
        case "Newexten":
            return event, message.get("Uniqueid", ""), message.get("Application", ""), message.get("AppData", "")
        case "Newchannel" | "Hangup" | "HangupRequest":
            return event, message.get("Uniqueid", "")
        case _:
            return None
