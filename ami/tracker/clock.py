"""When an event happened, said by the event itself as far as it can."""

import re
from datetime import UTC, datetime

from ami.messages import Message

#: Before any event told a time.
DAWN = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH = re.compile(r"(?:.*-)?(\d{9,11})\.\d+")


def event_time(message: Message, received_at: datetime | None, previous: datetime) -> datetime:
    """``Timestamp`` (manager.conf ``timestampevents=yes``), else when it was received, else the epoch in ``Uniqueid``.

    Without any of them, ``previous``: the time of the event before.
    """
    timestamp = message.get("Timestamp")
    if timestamp is not None:
        try:
            return datetime.fromtimestamp(float(timestamp), UTC)
        except (ValueError, OverflowError, OSError):
            pass  # a Timestamp that is no time; ask the next witness
    if received_at is not None:
        return received_at
    epoch = _EPOCH.fullmatch(message.get("Uniqueid", ""))
    return previous if epoch is None else max(previous, datetime.fromtimestamp(int(epoch[1]), UTC))
