"""After a gap (rule 7): compares what the PBX shows now with what we remember.

A remembered channel that is no longer there hung up during the gap. A call without channels is over, and its outcome is
"unknown", or "interrupted" when the PBX was restarted; never "missed". Channels that are new to us are adopted.
"""

from datetime import datetime, timedelta

from ami.snapshot import Headers, Snapshot
from ami.tracker import lost_hangups
from ami.tracker.call import Channel, TrackedCall
from ami.tracker.desk import Desk
from ami.tracker.endpoints import EndpointKind
from ami.tracker.numbers import number_in
from pbxcrm.calls.facts import CallFact, Outcome

#: ``Application`` of a channel that was dialled.
_DIALLED_APPS = frozenset({"AppDial", "AppDial2", "AppQueue"})


def reconcile(desk: Desk, snapshot: Snapshot, now: datetime, heard_until: datetime | None = None) -> list[CallFact]:
    """Bring the desk into line with ``snapshot``; return the facts. ``heard_until``: the last event before the gap."""
    heard_until = None if heard_until is None else max(heard_until, desk.at)
    facts = desk.release(now)
    board = desk.board
    board.position = snapshot.position
    desk.at = desk.asked_at = now
    restarted = desk.booted_at is not None and snapshot.booted_at is not None and snapshot.booted_at != desk.booted_at
    desk.booted_at = snapshot.booted_at or desk.booted_at
    if restarted:
        # After a restart channel names are reused: no earlier channel is alive.
        lost_hangups.shutdown(desk, _last_sign_of_life(now, heard_until), desk.started_at)
        lost_hangups.release_held(desk)  # a PBX that was started again says no more of these
    desk.started_at = None
    _end_what_is_gone(desk, snapshot, now)
    for seen in snapshot.channels:
        _adopt(desk, seen, now)
    _set_bridges(desk, snapshot)
    for entry in snapshot.waiting:
        channel = board.channels.get(entry.get("Uniqueid", ""))
        if channel is not None:
            channel.call.queue = entry.get("Queue") or channel.call.queue
            channel.call.left_queue_at = None
            board.touched[channel.call] = None
    return facts + desk.settle(now, now)


def _last_sign_of_life(now: datetime, heard_until: datetime | None) -> datetime:
    """Until when the PBX is known to have run before it was restarted."""
    if heard_until is None:
        return now
    return min(now, heard_until)


def _end_what_is_gone(desk: Desk, snapshot: Snapshot, now: datetime) -> None:
    """Unplug the channels that are gone, and give up the calls whose caller is gone with them."""
    board = desk.board
    present = {seen.get("Uniqueid", "") for seen in snapshot.channels}
    robbed = set()
    for channel in [c for c in board.channels.values() if c.id not in present]:
        desk.hung_up(channel, now, None)
        robbed.add(channel.call)
        board.unplug(channel.id)
    for call in [c for c in desk.open_calls() if c in robbed and c.caller_is_gone]:
        lost_hangups.give_up(desk, call, now, Outcome.UNKNOWN)


def _adopt(desk: Desk, seen: Headers, now: datetime) -> None:
    """Adopt a channel of ``CoreShowChannels``, or update a known one whose state may have changed during the gap."""
    known = desk.board.channels.get(seen.get("Uniqueid", ""))
    channel = desk.meet(seen, _began(seen, now))
    if channel is None:
        return
    call = channel.call
    if known is None:
        channel.met_late = True
        _meet_late(call, channel, seen, now)
    state = seen.get("ChannelStateDesc", "")
    leg = call.legs.get(channel.id)
    if state == "Up":
        channel.up = True
        if leg is not None:
            leg.picked_up = True
        elif channel is call.first and channel.place.kind is EndpointKind.TRUNK:
            call.was_picked_up_by_pbx = True
    elif state == "Ringing" and leg is not None and leg.extension is not None:
        leg.ringing_at = leg.ringing_at or now
        call.rang.setdefault(leg.extension)
    desk.board.touched[call] = None


def _meet_late(call: TrackedCall, channel: Channel, seen: Headers, now: datetime) -> None:
    """Read a channel first seen in the middle of a call. Its ``Exten`` is the dialplan's present step, not the dialled number."""
    kind = channel.place.kind
    if channel is call.first:
        call.did = None
    elif seen.get("Application") in _DIALLED_APPS:
        channel.dialled = True
        if kind is not EndpointKind.LOCAL:
            call.leg_of(channel, now)
        if kind is EndpointKind.TRUNK and call.client_heard is None:
            call.client_heard = number_in(seen.get("CallerIDNum"))


def _set_bridges(desk: Desk, snapshot: Snapshot) -> None:
    """Put every channel into the bridge that the snapshot shows for it."""
    board = desk.board
    where: dict[str, str] = {}
    holding: dict[str, bool] = {}
    for bridge in snapshot.bridges:
        holding[bridge.bridge_id] = bridge.technology == "holding_bridge"
        for channel_id in bridge.channel_ids:
            where[channel_id] = bridge.bridge_id
    for seen in snapshot.channels:
        if seen.get("BridgeId"):
            where.setdefault(seen.get("Uniqueid", ""), seen["BridgeId"])
    for channel in list(board.channels.values()):
        bridge_id = where.get(channel.id)
        if bridge_id is None:
            board.out_of_bridge(channel)
        elif channel.bridge is None or channel.bridge.id != bridge_id:
            _enter(desk, channel, bridge_id, holding=holding.get(bridge_id, False))


def _enter(desk: Desk, channel: Channel, bridge_id: str, *, holding: bool) -> None:
    known = desk.board.bridges.get(bridge_id)
    desk.board.into_bridge(channel, bridge_id, holding=holding or (known is not None and known.holding))


def _began(seen: Headers, now: datetime) -> datetime:
    """When a channel began, from its ``Duration`` ("00:01:05" or seconds)."""
    seconds = 0
    parts = seen.get("Duration", "").split(":")
    if 1 <= len(parts) <= 3 and all(part.isdecimal() and len(part) <= 6 for part in parts):
        for part in parts:
            seconds = seconds * 60 + int(part)
    return now - timedelta(seconds=seconds)
