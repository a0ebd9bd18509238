"""Transfers that the PBX reports. Whether a transfer reached somebody is seen from the bridges (``talk``)."""

from datetime import datetime

from ami.messages import Message
from ami.tracker import talk
from ami.tracker.call import Channel, TrackedCall
from ami.tracker.desk import Desk
from ami.tracker.endpoints import EndpointKind
from pbxcrm.calls.facts import FactKind, TransferKind


def blind(desk: Desk, message: Message, _at: datetime) -> None:
    """``BlindTransfer``: the transferer sends the client to an extension and leaves."""
    if message.get("Result", "Success") != "Success":
        return
    board = desk.board
    transferer = board.find(message, "Transferer")
    transferee = board.find(message, "Transferee")
    source = _extension(desk, message, "TransfererChannel", transferer)
    for channel in (transferee, transferer):
        if channel is not None:
            source = source or _last_talker(channel.call)
            if source is not None:
                channel.call.pending_transfer = (source, TransferKind.BLIND)
            return


def attended(desk: Desk, message: Message, at: datetime) -> None:
    """``AttendedTransfer``: after a consultation, or while the other phone still rings, two calls become one."""
    if message.get("Result", "Success") != "Success" or message.get("DestType") == "Fail":
        return
    board = desk.board
    roles = ("OrigTransferer", "SecondTransferer", "Transferee", "TransferTarget")
    channels = {role: board.find(message, role) for role in roles}
    present = [channel for channel in channels.values() if channel is not None]
    if not present:
        return
    if message.get("DestType") == "App":
        _take_the_place(desk, channels)
    call = next((c.call for c in present if c.call.has_client), present[0].call)
    for channel in present:
        board.tie(call, channel.call)
    board.touched[call] = None
    source = (
        _extension(desk, message, "OrigTransfererChannel", channels["OrigTransferer"])
        or _extension(desk, message, "SecondTransfererChannel", channels["SecondTransferer"])
        or _last_talker(call)
    )
    if source is None:
        return
    if message.get("DestType") == "Threeway":
        call.conferred_by = source
        return
    reached = _reached(call, channels["TransferTarget"], source)
    if not reached:
        call.pending_transfer = (source, TransferKind.ATTENDED)
        return
    call.pending_transfer = None
    for transfer in talk.hand_over(call, source, reached):
        desk.tell(call, FactKind.TRANSFERRED, f"{transfer.source}>{transfer.target}", at)


def _take_the_place(desk: Desk, channels: dict[str, Channel | None]) -> None:
    """Transfer into a conference: the client takes the transferer's place in the bridge, perhaps without an event."""
    transferee, transferer = channels["Transferee"], channels["SecondTransferer"]
    bridge = transferer.bridge if transferer is not None else None
    if transferee is not None and bridge is not None and bridge is not transferee.bridge:
        desk.board.into_bridge(transferee, bridge.id, holding=bridge.holding)


def _extension(desk: Desk, message: Message, header: str, channel: Channel | None) -> str | None:
    """The extension of a phone's channel; for a Local channel, that of the phone at its other end."""
    if channel is not None and channel.place.kind is EndpointKind.LOCAL:
        phones = [c for half in (channel, channel.other_half) if half is not None for c in half.connected()]
        return next((c.place.extension for c in phones if c.place.kind is EndpointKind.PHONE), None)
    name = message.get(header, "")
    place = desk.board.places.of(name) if name else None
    return place.extension if place is not None and place.kind is EndpointKind.PHONE else None


def _last_talker(call: TrackedCall) -> str | None:
    return next(reversed(call.talking), None) or next(reversed(call.talked), None)


def _reached(call: TrackedCall, target: Channel | None, source: str) -> list[str]:
    """The extensions at the target's end that already talk to the client: bridges may be reported before the transfer."""
    talking = talk.phones_in_talk(call)
    if target is None:  # the event names no target: take the last phone that joined
        newest = next(reversed(call.talked), None)
        return [newest] if newest is not None and newest != source and newest in talking else []
    ends = [target]
    if target.place.kind is EndpointKind.LOCAL and target.other_half is not None:
        ends = target.other_half.connected()
    reached = (c.place.extension for c in ends if c.place.kind is EndpointKind.PHONE)
    return [e for e in dict.fromkeys(reached) if e is not None and e != source and e in talking and e in call.talked]
