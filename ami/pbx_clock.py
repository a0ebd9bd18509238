"""The PBX's clock and ours, which may differ: all times of a call must come from one of them."""

from datetime import datetime, timedelta

from ami.messages import Message

_NOTICED = 0.1  # seconds; less is the time of an answer
_TRUSTED = 30.0  # seconds; no event takes that long to reach us


def in_our_time(message: Message, received_at: datetime) -> Message:
    """The message without its ``Timestamp`` if that is far from ``received_at``: the PBX's clock is wrong, so we use ours.

    This depends only on what the journal holds, so a replay decides the same.
    """
    try:
        wrong = abs(float(message["Timestamp"]) - received_at.timestamp()) > _TRUSTED
    except (KeyError, ValueError):
        return message
    return {name: value for name, value in message.items() if name != "Timestamp"} if wrong else message


def clock_shift(offset: float | None) -> timedelta:
    """What to add to our time to get the PBX's. ``offset``: its clock minus ours in seconds, as measured; None if unknown.

    0 if the PBX's clock is wrong: then its events get our time, too (``in_our_time``).
    """
    return timedelta(seconds=offset) if offset is not None and _NOTICED < abs(offset) <= _TRUSTED else timedelta(0)


def clock_error(offset: float | None) -> timedelta:
    """What to take off the times in the PBX's own files to get those of its events: 0 unless its clock is wrong."""
    return timedelta(seconds=offset) if offset is not None and abs(offset) > _TRUSTED else timedelta(0)
