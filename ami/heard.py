"""What was heard of each channel, so that the PBX's own record of a gap adds only what was not.

A message is known by its kind and its channel, and counted: the third time a channel enters a bridge is the third time in
the file, too. So it does not matter how the clocks differ, nor where exactly the gap began.
"""

from collections import Counter

from ami.messages import Message

Key = tuple[str, ...]

_MOST_CHANNELS = 20_000  # remembered; the oldest are forgotten first


class Heard:
    """Counts what the tracker was fed. Feed every message to ``note``; ask ``is_new`` of those that a file tells."""

    def __init__(self) -> None:
        self._of_channel: dict[str, Counter[Key]] = {}
        self._told: dict[str, Counter[Key]] = {}  # by the file, since ``begin_file``

    def note(self, message: Message) -> None:
        """Count a message that was heard."""
        key = _key(message)
        if key is not None:
            self._counter(key[1])[key] += 1

    def begin_file(self) -> None:
        """A file is told from the beginning of its calls."""
        self._told.clear()

    def is_new(self, message: Message) -> bool:
        """Whether the next message of a file was not heard; then it counts as heard from now on."""
        key = _key(message)
        if key is None:
            return True
        told, heard = self._told.setdefault(key[1], Counter()), self._counter(key[1])
        told[key] += 1
        if told[key] <= heard[key]:
            return False
        heard[key] = told[key]
        return True

    def _counter(self, channel_id: str) -> Counter[Key]:
        counter = self._of_channel.get(channel_id)
        if counter is None:
            counter = self._of_channel[channel_id] = Counter()
            if len(self._of_channel) > _MOST_CHANNELS:
                del self._of_channel[next(iter(self._of_channel))]
        return counter


def _key(message: Message) -> Key | None:
    """Event, the channel it is about, and what else tells it from others of its kind; None where it is about none."""
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
