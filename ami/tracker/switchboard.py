"""The live channels, bridges and calls of one PBX, and how they are connected.

A call is a group of channels. It begins with a channel whose Linkedid is new and gains channels with the same Linkedid. Two
calls become one when a dial, a bridge, a transfer or a changed Linkedid connects them (rule 3).
"""

from collections.abc import Callable
from datetime import datetime

from ami.messages import Message
from ami.tracker.call import Bridge, Channel, TrackedCall
from ami.tracker.endpoints import EndpointKind, Places
from ami.tracker.legs import LegRecord
from ami.tracker.settings import TrackerSettings
from pbxcrm.calls.facts import Direction

#: How many hung-up channels (and ended calls) are remembered, so that a late event does not revive them.
_MOST_REMEMBERED = 5_000

#: Called with the absorbed call and the call that absorbs it, after they were joined.
Absorbed = Callable[[TrackedCall, TrackedCall], None]


class Switchboard:
    """Finds and groups channels. ``touched`` collects the calls that changed since it was last emptied."""

    def __init__(self, settings: TrackerSettings, on_absorbed: Absorbed) -> None:
        self.places = Places(settings)
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.calls: dict[TrackedCall, None] = {}
        self.touched: dict[TrackedCall, None] = {}
        self.position: int | None = None  # of the message being worked on
        self._pbx = settings.pbx
        self._on_absorbed = on_absorbed
        self._by_linkedid: dict[str, TrackedCall] = {}
        self._halves: dict[tuple[str, int], Channel] = {}
        self._gone: dict[str, None] = {}
        self._ended: dict[str, None] = {}  # names of calls that are over
        self._spied: dict[str, None] = {}  # bridges in which a program lets people hear another talk

    # --- channels -------------------------------------------------------------------------------------------------

    def find(self, message: Message, prefix: str = "") -> Channel | None:
        """The channel of a message, if known. Also notices a changed Linkedid, for which there is no event."""
        channel = self.channels.get(message.get(prefix + "Uniqueid", ""))
        if channel is not None:
            linkedid = message.get(prefix + "Linkedid", "")
            if linkedid and linkedid != channel.linkedid:
                self._linkedid_changed(channel, linkedid)
        return channel

    def find_or_adopt(self, message: Message, at: datetime, prefix: str = "") -> Channel | None:
        """The channel of a message; an unknown channel is adopted as the message describes it.

        None if the message names no channel, the channel has already hung up, or nobody is behind it (``EndpointKind.MACHINE``).
        """
        channel = self.find(message, prefix)
        if channel is not None:
            return channel
        channel_id = message.get(prefix + "Uniqueid", "")
        name = message.get(prefix + "Channel", "")
        if not channel_id or not name or channel_id in self._gone:
            return None
        place = self.places.of(name, message.get(prefix + "Context", ""))
        if place.kind is EndpointKind.MACHINE:
            return None
        linkedid = message.get(prefix + "Linkedid") or channel_id
        call = self._call_for(linkedid, channel_id, at, is_trunk=place.kind is EndpointKind.TRUNK)
        channel = Channel(channel_id, name, linkedid, place, at, call)
        state = message.get(prefix + "ChannelStateDesc", "")
        channel.up = state == "Up"
        channel.dialled = not channel.is_first and state != "Ring"
        channel.exten = message.get(prefix + "Exten", "")
        self._plug_in(channel)
        if call.first is None or (channel.is_first and not call.first.is_first):
            call.first = channel
        return channel

    def _plug_in(self, channel: Channel) -> None:
        self.channels[channel.id] = channel
        channel.call.channels[channel.id] = channel
        channel.call.channel_ids[channel.id] = None
        self.touched[channel.call] = None
        place = channel.place
        if place.kind is EndpointKind.LOCAL:
            other = self._halves.get((place.pair, 3 - place.half))
            if other is not None:
                channel.other_half, other.other_half = other, channel
                self.tie(other.call, channel.call)
            self._halves[place.pair, place.half] = channel

    def unplug(self, channel_id: str) -> Channel | None:
        """Remove a channel that hung up and return it; None if it was not known."""
        _remember(self._gone, channel_id)
        channel = self.channels.pop(channel_id, None)
        if channel is None:
            return None
        self.out_of_bridge(channel)
        channel.alive = False
        channel.call.channels.pop(channel_id, None)
        self.touched[channel.call] = None
        half = (channel.place.pair, channel.place.half)
        if channel.place.kind is EndpointKind.LOCAL and self._halves.get(half) is channel:
            del self._halves[half]
        return channel

    # --- bridges --------------------------------------------------------------------------------------------------

    def into_bridge(self, channel: Channel, bridge_id: str, *, holding: bool) -> None:
        """Put a channel into a bridge; all channels in a mixing bridge belong to one call."""
        if channel.bridge is not None and channel.bridge.id != bridge_id:
            self.out_of_bridge(channel)  # it left without an event
        bridge = self.bridges.get(bridge_id)
        if bridge is None:
            bridge = self.bridges[bridge_id] = Bridge(bridge_id, holding=holding)
        bridge.holding = holding
        channel.enter(bridge)
        self.touched[channel.call] = None
        channel.hears_another_talk = False
        if bridge_id in self._spied:
            self._listens(channel)
        if not holding:
            for other in list(bridge.members.values()):
                self.tie(other.call, channel.call)
        self._touch_connected(channel)

    def spy_into_bridge(self, bridge_id: str) -> None:
        """A program put the sound of another talk into a bridge, for those who are in it or will be."""
        _remember(self._spied, bridge_id)
        bridge = self.bridges.get(bridge_id)
        for channel in bridge.members.values() if bridge is not None else ():
            self._listens(channel)

    def _listens(self, channel: Channel) -> None:
        channel.call.listens = channel.hears_another_talk = True
        self.touched[channel.call] = None

    def out_of_bridge(self, channel: Channel) -> None:
        """Take a channel out of its bridge, and forget the bridge when it is empty."""
        bridge = channel.bridge
        if bridge is None:
            return
        self._touch_connected(channel)
        channel.leave()
        if not bridge.members:
            self.bridges.pop(bridge.id, None)

    def _touch_connected(self, channel: Channel) -> None:
        for other in channel.connected():
            self.touched[other.call] = None

    # --- calls ----------------------------------------------------------------------------------------------------

    def _call_for(self, linkedid: str, channel_id: str, at: datetime, *, is_trunk: bool) -> TrackedCall:
        """The call a new channel belongs to, by its Linkedid; else a new call."""
        call = self._by_linkedid.get(linkedid)
        if call is not None and not (call.is_over and is_trunk):
            return call
        # A client who arrives by a Linkedid that an ended call still holds (an agent who stays on the line) is a new call, and so
        # is what remains of a forgotten call: a name is used once.
        is_free = call is None and linkedid not in self._ended
        call = TrackedCall(self._pbx, linkedid if is_free else channel_id, at, self.position)
        self.calls[call] = None
        self.touched[call] = None
        for name in (linkedid, channel_id):
            self._by_linkedid.setdefault(name, call)
            if self._by_linkedid[name] is call:
                call.linkedids.add(name)
        return call

    def _linkedid_changed(self, channel: Channel, linkedid: str) -> None:
        channel.linkedid = linkedid
        call = self._by_linkedid.get(linkedid)
        if call is None:
            self._by_linkedid[linkedid] = channel.call
            channel.call.linkedids.add(linkedid)
        else:
            self.tie(call, channel.call)

    def tie(self, one: TrackedCall, other: TrackedCall) -> TrackedCall:
        """Join two calls into one; returns the call that remains (``one`` if they stay separate).

        The call with the client remains, else the earlier one. Two clients stay two calls, even in one conference.
        """
        if one is other or _have_each_a_client(one, other):
            return one
        kept, absorbed = sorted((one, other), key=_claim_to_live)
        if kept.is_finished and absorbed.has_client and not absorbed.is_finished:
            kept, absorbed = absorbed, kept  # the next client reaches a phone that stayed on the line
        self._move(absorbed, kept)
        if not absorbed.is_over and not kept.is_over:
            self._on_absorbed(absorbed, kept)
        return kept

    def _move(self, absorbed: TrackedCall, kept: TrackedCall) -> None:
        for channel in absorbed.channels.values():
            channel.call = kept
        kept.channels |= absorbed.channels
        kept.channel_ids |= dict.fromkeys(absorbed.channels) if absorbed.is_finished else absorbed.channel_ids
        absorbed.channels = {}
        for linkedid in absorbed.linkedids:
            self._by_linkedid[linkedid] = kept
        kept.linkedids |= absorbed.linkedids
        positions = [p for p in (kept.position, absorbed.position) if p is not None]
        kept.position = min(positions, default=None)
        self.calls.pop(absorbed, None)
        self.touched.pop(absorbed, None)
        self.touched[kept] = None

    def forget(self, call: TrackedCall) -> None:
        """Drop a call that is over and has no channels, so that nothing of it stays in memory."""
        self.calls.pop(call, None)
        _remember(self._ended, call.name)
        call.first = call.last_talker = call.successor = (
            None  # channels point at their call: break the cycle, else it waits for the garbage collector
        )
        for linkedid in call.linkedids:
            if self._by_linkedid.get(linkedid) is call:
                del self._by_linkedid[linkedid]

    def call_of(self, channel_id: str) -> TrackedCall | None:
        """The call of a live channel; else the call known by this Linkedid."""
        channel = self.channels.get(channel_id)
        return channel.call if channel is not None else self._by_linkedid.get(channel_id)

    def leg(self, channel_id: str, linkedid: str = "") -> LegRecord | None:
        """The leg of a channel, even after it has hung up, as long as its call is in progress."""
        channel = self.channels.get(channel_id)
        call = channel.call if channel is not None else self._by_linkedid.get(linkedid)
        return None if call is None else call.legs.get(channel_id)


def _remember(names: dict[str, None], name: str) -> None:
    names[name] = None
    if len(names) > _MOST_REMEMBERED:
        del names[next(iter(names))]


def _have_each_a_client(one: TrackedCall, other: TrackedCall) -> bool:
    """Whether each call has its own client. A call of a program to an outside number is only half a call until it is joined."""
    if one.is_finished or other.is_finished or not one.has_client or not other.has_client:
        return False
    return one.has_line and other.has_line and not one.is_half and not other.is_half


def _claim_to_live(call: TrackedCall) -> tuple[bool, bool, bool, bool, bool, datetime, str]:
    """Sort key: the call that remains comes before the one that is absorbed."""
    knows_client = call.has_line or call.asked_for is not None
    return (
        call.is_over,
        call.direction is not Direction.INBOUND,
        not call.has_client,
        call.answered_at is None,
        not knows_client,
        call.started_at,
        call.name,
    )
