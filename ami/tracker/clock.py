"""When an event happened, taken from the event itself where possible."""

import re
from datetime import UTC, datetime

from ami.messages import Message

#: The time before the first event.
DAWN = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH = re.compile(r"(?:.*-)?(\d{9,11})\.\d+")


def event_time(message: Message, received_at: datetime | None, previous: datetime) -> datetime:
    """``Timestamp`` (manager.conf ``timestampevents=yes``), else when it was received, else the epoch in ``Uniqueid``.

    Without any of them, ``previous``: the time of the preceding event.
    """
    timestamp = message.get("Timestamp")
    if timestamp is not None:
        try:
            return datetime.fromtimestamp(float(timestamp), UTC)
        except (ValueError, OverflowError, OSError):
            pass  # the Timestamp is not a time; try the next source
    if received_at is not None:
        return received_at
    epoch = _EPOCH.fullmatch(message.get("Uniqueid", ""))
    return previous if epoch is None else max(previous, datetime.fromtimestamp(int(epoch[1]), UTC))
