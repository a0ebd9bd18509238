"""Who talks to whom, and which talk was transferred: rules 1 and 6.

In a transfer the client talks to two of our phones, one after the other. Either the PBX reports it (BlindTransfer,
AttendedTransfer), or the first phone is gone when the second joins (AMI Redirect, parking, the dialplan).
"""

from collections.abc import Container
from datetime import datetime, timedelta

from ami.tracker.call import Channel, Successor, Talker, TrackedCall
from ami.tracker.endpoints import EndpointKind
from pbxcrm.calls.facts import Direction, Transfer, TransferKind

#: How long after the client moved to another phone the Hangup of the first phone may come: AMI keeps no order between
#: channels, and a phone that is being hung up first plays its beep to the end.
_HANGUP_LATE = timedelta(seconds=1)


def phones_in_talk(call: TrackedCall) -> dict[str, Channel]:
    """Extension → channel of the phones that are connected to the other side now."""
    if call.direction is Direction.INTERNAL:
        return phones_among_themselves(call) or _phones_listening(call)
    phones: dict[str, Channel] = {}
    for client in call.client_channels():
        for channel in client.connected():
            if channel.place.kind is EndpointKind.PHONE and channel.place.extension is not None:
                phones.setdefault(channel.place.extension, channel)
    return phones


def phones_among_themselves(call: TrackedCall) -> dict[str, Channel]:
    """Extension → channel of two or more of our phones that are connected to each other; empty if there are not two."""
    for channel in call.channels.values():
        if channel.place.kind is EndpointKind.PHONE and channel.bridge is not None:
            phones = {
                other.place.extension: other
                for other in channel.connected()
                if other.place.kind is EndpointKind.PHONE and other.place.extension is not None
            }
            if len(phones) > 1:
                return phones
    return {}


def _phones_listening(call: TrackedCall) -> dict[str, Channel]:
    """Extension → channel of the phones that a program lets hear another talk."""
    if not call.listens:
        return {}
    return {
        channel.place.extension: channel
        for channel in call.channels.values()
        if channel.place.kind is EndpointKind.PHONE
        and channel.place.extension is not None
        and channel.bridge is not None
        and channel.hears_another_talk
    }


def outside_helper(call: TrackedCall) -> Channel | None:
    """The dialled outside line the client is connected to: a colleague's mobile or another number that answers for us."""
    if call.direction is Direction.INTERNAL:
        return None
    for client in call.client_channels():
        for channel in client.connected():
            if (
                channel.place.kind is EndpointKind.TRUNK
                and channel.dialled
                and channel is not client
                and channel.call is call
            ):
                return channel
    return None


def forwarded_by(call: TrackedCall, line: Channel) -> str | None:
    """The extension that forwarded to an outside line, found by following the dials back to the caller; None if unknown."""
    channel: Channel | None = line
    for _ in range(20):  # stops a loop of forwards
        if channel is None:
            break
        if channel.place.kind is EndpointKind.LOCAL:
            forwarder = call.forwards.get(channel.place.pair.rpartition("-")[0])
            if forwarder is not None:
                return forwarder
            if channel.place.extension is not None:
                return channel.place.extension
        elif channel.place.extension is not None and channel is not line:
            return channel.place.extension
        behind = channel.other_half if channel.place.half == 2 else None
        channel = channel.dialled_by or behind
    return next(reversed(call.forwards.values()), None)


def joins(call: TrackedCall, extension: str, channel: Channel, at: datetime) -> bool:
    """A phone is connected to the other side; True if that is new, False if it was away for less than ``BLINK``."""
    leg = call.leg_of(channel, channel.born_at)
    leg.talking = True
    leg.picked_up = True
    leg.answered_at = leg.answered_at or at
    talker = call.talking.get(extension)
    if talker is not None:
        talker.left_at = None
        talker.channel = channel
        return False
    answered(call, extension, at)
    call.talking[extension] = Talker(channel)
    return True


def answered(call: TrackedCall, extension: str | None, at: datetime) -> None:
    """One of our phones talks to the other side; ``extension`` is None when an outside line answers for us."""
    call.answered_at = call.answered_at or at
    if extension is not None:
        call.talked.setdefault(extension)


def line_talks(call: TrackedCall, line: Channel, at: datetime) -> None:
    """Mark the leg of a dialled outside line as talking."""
    leg = call.leg_of(line, at)
    leg.answered_at, leg.talking = leg.answered_at or at, True


def transfer_reaching(call: TrackedCall, extension: str, channel: Channel, now: datetime) -> Transfer | None:
    """The transfer that ``extension`` completes by joining now; None if it only takes part or has come back."""
    is_new = channel.id not in call.talked_channels
    call.talked_channels.add(channel.id)
    if not is_new:
        return None
    pending, call.pending_transfer = call.pending_transfer, None
    if pending is not None:
        source, kind = pending
        return Transfer(source, extension, kind) if source != extension else None
    before = call.last_talker
    others = [
        name
        for name, talker in call.talking.items()
        if talker.left_at is None and name not in {extension, call.made_by}
    ]
    if before is None or others:
        return None
    if before.channel.alive:
        if before.left_at is not None:
            call.successor = Successor(before, extension, now + _HANGUP_LATE)
        return None
    return _seen_from_the_bridges(call, before, extension)


def late_transfer(call: TrackedCall, phones: Container[str], now: datetime) -> Transfer | None:
    """The transfer by a phone whose Hangup came only after its successor had joined, or that was sent elsewhere itself."""
    successor = call.successor
    if successor is None:
        return None
    before = successor.before
    is_back = before.channel.place.extension in phones
    if before.channel.alive and not is_back and now < successor.until:
        return None  # keep waiting
    call.successor = None
    return None if is_back else _seen_from_the_bridges(call, before, successor.extension)


def transfer_at_the_end(call: TrackedCall) -> Transfer | None:
    """The transfer that was still pending when the call ended."""
    successor, call.successor = call.successor, None
    return None if successor is None else _seen_from_the_bridges(call, successor.before, successor.extension)


def _seen_from_the_bridges(call: TrackedCall, before: Talker, extension: str) -> Transfer | None:
    source = before.channel.place.extension
    if source is None or source in {extension, call.made_by if call.direction is Direction.INTERNAL else None}:
        return None
    return Transfer(source, extension, TransferKind.BLIND)


def hand_over(call: TrackedCall, source: str, reached: list[str]) -> list[Transfer]:
    """Record a reported attended transfer by ``source`` to phones (``reached``) that have already joined."""
    done = []
    call.successor = None  # the PBX reported it, so no guess is needed
    for target in reached:
        guessed = Transfer(source, target, TransferKind.BLIND)
        known = Transfer(source, target, TransferKind.ATTENDED)
        if guessed in call.transfers[-1:]:
            call.transfers[-1] = known
        else:
            call.transfers.append(known)
        done.append(known)
    return done
