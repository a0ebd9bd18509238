"""What each AMI event means for the calls: one function per event. The desk makes the facts afterwards.

The events of a least-privilege manager user suffice; VarSet, Newexten and HangupRequest are hints if they come.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from ami.messages import Message
from ami.tracker import lost_hangups, transfers, voicemail
from ami.tracker.call import Channel
from ami.tracker.desk import Desk
from ami.tracker.endpoints import EndpointKind, is_spy
from ami.tracker.numbers import is_withheld, name_in, names_only, number_in, number_sent
from ami.tracker.roles import asked_for, dialled_out, introduce, orient, originated, tries_outside
from pbxcrm.calls.facts import Direction, LegResult

Handler = Callable[[Desk, Message, datetime], None]

#: A caller who hangs up leaves the queue at the same moment; either event may come first.
_LEFT_BY_HANGING_UP = timedelta(milliseconds=100)
#: Words in a context's name that say the office is closed; a hint for PBXs that send no UserEvent.
_CLOSED_WORDS = ("closed", "afterhours", "after-hours", "after_hours")
_NORMAL_CLEARING = 16
#: HangupRequest comes at most this long before the Hangup: a conference plays its goodbye first.
_REQUESTED_BEFORE = timedelta(seconds=2)


def newchannel(desk: Desk, message: Message, at: datetime) -> None:
    """A channel was created. One that began between the login and the snapshot was seen there already, without its beginning."""
    channel = desk.meet(message, at)
    if channel is None or not channel.met_late:
        return
    channel.met_late = False
    channel.exten = message.get("Exten", "")
    introduce(channel.call, channel, message, "")
    if channel is channel.call.first:
        channel.call.started_at = min(channel.call.started_at, at)
    desk.board.touched[channel.call] = None


def newstate(desk: Desk, message: Message, at: datetime) -> None:
    """A phone rings or was picked up; or the PBX itself picked up the caller's line (a menu, a queue, a mailbox)."""
    channel = desk.meet(message, at)
    if channel is None:
        return
    call = channel.call
    state = message.get("ChannelStateDesc")
    if state == "Ringing" and channel.place.kind is not EndpointKind.LOCAL:
        if not channel.dialled:  # a call whose first phone rings was originated by the PBX
            channel.dialled = True
            if channel is call.first:
                originated(call, {}, desk.board.places)
        leg = call.leg_of(channel, at)
        leg.ringing_at = leg.ringing_at or at
        if leg.extension is not None:
            call.rang.setdefault(leg.extension)
    elif state == "Up":
        channel.up = True
        known_leg = call.legs.get(channel.id)
        if known_leg is not None:
            known_leg.picked_up = True
            _was_offered(channel)
        elif channel is call.first and channel.place.kind is EndpointKind.TRUNK:
            call.was_picked_up_by_pbx = True
    desk.board.touched[call] = None


def _was_offered(phone: Channel) -> None:
    """Count a called phone that was picked up as offered the call, even if it never rang (automatic answer)."""
    if phone.dialled and phone.place.kind is EndpointKind.PHONE and phone.place.extension is not None:
        phone.call.rang.setdefault(phone.place.extension)


def newcallerid(desk: Desk, message: Message, _at: datetime) -> None:
    """Analogue lines send the number only now; and only this event says whether it may be shown."""
    channel = desk.board.find(message)
    if (
        channel is None
        or channel is not channel.call.first
        or channel.place.kind is not EndpointKind.TRUNK
        or channel.dialled
    ):
        return
    call = channel.call
    call.withheld = call.withheld or is_withheld(message)
    if call.client_heard is None and not call.legs:
        call.client_heard = number_in(message.get("CallerIDNum"))
        call.client_name = call.client_name or name_in(message.get("CallerIDName"))
    desk.board.touched[call] = None


def hangup(desk: Desk, message: Message, at: datetime) -> None:
    """A channel is gone; this ends its leg even without a ``DialEnd`` (rule 2)."""
    channel = desk.board.unplug(message.get("Uniqueid", ""))
    if channel is None:
        return
    call = channel.call
    cause = _cause(message)
    desk.hung_up(channel, at, cause)
    if channel is call.first:
        call.caller_cause = cause
        call.was_hung_up = call.was_hung_up or bool(message.get("HangupSource"))  # from a CEL row
        would_be_told = desk.hears_hangup_requests and at - desk.asked_at > _REQUESTED_BEFORE
        let_go = would_be_told or message.get("HangupSource", "").startswith("dialplan/")  # from a CEL row
        call.was_let_go = let_go and not call.caller_hung_up and cause == _NORMAL_CLEARING
        context = message.get("Context", "").lower()
        if not call.legs and any(word in context for word in _CLOSED_WORDS):
            call.closed_hours = True


def hung_up_by(desk: Desk, message: Message, _at: datetime) -> None:
    """Who hung up, from a CEL row of a channel whose Hangup may have been heard (made by ``cel_translation``)."""
    call = desk.board.call_of(message.get("Uniqueid", ""))
    if call is not None and call.first is not None and call.first.id == message.get("Uniqueid"):
        call.was_hung_up = True


def hangup_request(desk: Desk, message: Message, at: datetime) -> None:
    """The far end hung up (a SoftHangupRequest would be the dialplan)."""
    desk.hears_hangup_requests = True
    channel = desk.board.find(message)
    if channel is not None:
        channel.hangs_up = True
    call = desk.board.call_of(message.get("Uniqueid", ""))  # a CEL row may come after the Hangup was heard
    if call is None or call.first is None or call.first.id != message.get("Uniqueid"):
        return
    call.caller_hung_up = True
    left_at = call.left_queue_at
    call.hung_up_after_queue = left_at is not None and at - left_at > _LEFT_BY_HANGING_UP


def dial_begin(desk: Desk, message: Message, at: datetime) -> None:
    """A channel calls another one. Without a source channel the PBX itself calls: an Originate."""
    board = desk.board
    source = desk.meet(message, at) if message.get("Uniqueid") else None
    dialled = desk.meet(message, at, "Dest")
    if dialled is None:
        return
    was_known_as_dialled = dialled.dialled
    dialled.dialled = True
    if source is not None:
        dialled.dialled_by = source
        board.tie(source.call, dialled.call)
    elif dialled is dialled.call.first:
        originated(dialled.call, message, board.places)
    call = dialled.call
    if dialled.place.kind is not EndpointKind.LOCAL:
        call.leg_of(dialled, at)
    if dialled.place.kind is EndpointKind.TRUNK:
        leg = call.leg_of(dialled, at)
        sent = leg.number = number_sent(message)
        if names_only(message, dialled.place.endpoint):
            leg.dialled_name = dialled.place.name
        dialled_out(call, dialled, sent)
    if not was_known_as_dialled or dialled.place.kind is EndpointKind.TRUNK:
        orient(call, board.places)
    board.touched[call] = None


def dial_end(desk: Desk, message: Message, at: datetime) -> None:
    """A dial ended. This event may be missing, come twice, or come after the leg's Hangup (rule 2)."""
    board = desk.board
    source = board.find(message)
    dialled = board.find(message, "Dest")
    if source is not None and dialled is not None:
        board.tie(source.call, dialled.call)  # a pickup: the dial ends with a phone that was not dialled
    leg = board.leg(message.get("DestUniqueid", ""), message.get("DestLinkedid", ""))
    forward = message.get("Forward", "")
    if leg is not None:
        leg.dial_ended(message.get("DialStatus", ""), forwarded=bool(forward))
        if leg.picked_up and dialled is not None:
            _was_offered(dialled)
    for channel in (source, dialled):
        if channel is not None:
            board.touched[channel.call] = None
            if forward and leg is not None and leg.extension is not None:
                channel.call.forwards[forward.removesuffix("/n")] = leg.extension


def originate_response(desk: Desk, message: Message, _at: datetime) -> None:
    """The result of an Originate. It names the number that our phone was to be connected to."""
    channel_id = message.get("Uniqueid", "")
    call = desk.board.call_of(channel_id)
    if call is None or call.is_over or call.first is None or call.first.id != channel_id:
        return
    call.originated = True
    asked_for(call, message.get("Exten"), desk.board.places)
    desk.board.touched[call] = None


def bridge_enter(desk: Desk, message: Message, at: datetime) -> None:
    """A channel entered a bridge. In a holding bridge (parking, waiting) nobody hears it (rule 1)."""
    channel = desk.meet(message, at)
    bridge_id = message.get("BridgeUniqueid", "")
    if bridge_id and is_spy(message.get("Channel", "")):
        desk.board.spy_into_bridge(bridge_id)
    if channel is None or not bridge_id:
        return
    desk.board.into_bridge(channel, bridge_id, holding=message.get("BridgeTechnology") == "holding_bridge")
    swapped = desk.board.channels.get(message.get("SwapUniqueid", ""))
    if swapped is not None and swapped is not channel and swapped.bridge is channel.bridge:
        desk.board.out_of_bridge(swapped)  # a Local channel was optimised away


def bridge_leave(desk: Desk, message: Message, _at: datetime) -> None:
    """A channel left a bridge; it may have entered the next one already."""
    channel = desk.board.find(message)
    if channel is not None and channel.bridge is not None and channel.bridge.id == message.get("BridgeUniqueid"):
        desk.board.out_of_bridge(channel)


def confbridge_join(desk: Desk, message: Message, at: datetime) -> None:
    """A channel joined a conference. After a transfer into a conference this is the only event of entering the bridge."""
    channel = desk.board.find(message)
    bridge = desk.board.bridges.get(message.get("BridgeUniqueid", ""))
    if channel is not None and bridge is not None and channel.bridge is not bridge:
        desk.board.into_bridge(channel, bridge.id, holding=bridge.holding)


def bridge_destroy(desk: Desk, message: Message, _at: datetime) -> None:
    """A bridge is gone; channels still in it left without an event."""
    bridge = desk.board.bridges.get(message.get("BridgeUniqueid", ""))
    for channel in list(bridge.members.values()) if bridge is not None else ():
        desk.board.out_of_bridge(channel)


def pickup(desk: Desk, message: Message, at: datetime) -> None:
    """A phone picked up a call that rings at another phone: neither a transfer nor a missed call."""
    picker = desk.meet(message, at)
    target = desk.board.find(message, "Target")
    if picker is not None and target is not None:
        desk.board.tie(target.call, picker.call)
    leg = desk.board.leg(message.get("TargetUniqueid", ""), message.get("TargetLinkedid", ""))
    if leg is not None and leg.is_waiting:
        leg.status = LegResult.ELSEWHERE
    if target is not None:
        desk.board.touched[target.call] = None


def queue_caller_join(desk: Desk, message: Message, at: datetime) -> None:
    """A caller entered a queue."""
    channel = desk.meet(message, at)
    if channel is not None:
        channel.call.queue = message.get("Queue") or channel.call.queue
        channel.call.left_queue_at = None
        desk.board.touched[channel.call] = None


def queue_caller_leave(desk: Desk, message: Message, at: datetime) -> None:
    """A caller left a queue: served, gave up, or was sent on. (QueueCallerAbandon may come while the caller is still there.)"""
    channel = desk.board.find(message)
    if channel is not None:
        channel.call.left_queue_at = channel.call.left_queue_at or at


def agent_ring_no_answer(desk: Desk, message: Message, _at: datetime) -> None:
    """A queue's member let it ring until the timeout."""
    leg = desk.board.leg(message.get("DestUniqueid", ""), message.get("DestLinkedid", ""))
    channel = desk.board.find(message)
    if leg is not None and channel is not None:
        leg.dial_ended("NOANSWER", forwarded=False)
        desk.board.touched[channel.call] = None


def user_event(desk: Desk, message: Message, _at: datetime) -> None:
    """The events of our own dialplan lines: ``PbxcrmClosed`` and ``PbxcrmRecording`` (see dialplan_examples)."""
    channel = desk.board.find(message)
    if channel is None:
        return
    name = message.get("UserEvent", "").lower()
    if name == "pbxcrmclosed":
        channel.call.closed_hours = True
    elif name == "pbxcrmrecording":
        channel.call.recording = message.get("File") or channel.call.recording
    desk.board.touched[channel.call] = None


def var_set(desk: Desk, message: Message, _at: datetime) -> None:
    """The status variable of an application that ended: a hint."""
    channel = desk.board.find(message)
    if channel is None or channel.call.direction is not Direction.INBOUND:
        return
    variable, value = message.get("Variable"), message.get("Value", "")
    if variable == "QUEUESTATUS":
        channel.call.queue_status = value
    elif variable == "DIALSTATUS" and channel is channel.call.first:
        channel.call.dial_status = value
    elif variable == "VMSTATUS" and value == "SUCCESS":
        channel.call.left_voicemail = True
    desk.board.touched[channel.call] = None


def new_exten(desk: Desk, message: Message, _at: datetime) -> None:
    """The dialplan enters a queue or dials: a hint, because either sends no other event when it fails at once."""
    channel = desk.board.find(message)
    if channel is None:
        return
    data = message.get("AppData", "").partition(",")[0]
    if message.get("Application") == "Queue":
        channel.call.queue_hint = data or None
    elif message.get("Application") == "Dial":
        tries_outside(channel.call, channel, data, desk.board.places)
        desk.board.touched[channel.call] = None


def shutdown(desk: Desk, _message: Message, at: datetime) -> None:
    """The PBX stops. Whether a call that had just ended was cut off is known when its own record has been read."""
    lost_hangups.shutdown(desk, at, decides=False)


def started(desk: Desk, _message: Message, at: datetime) -> None:
    """The first CEL row after a start of the PBX (made by ``cel_translation``)."""
    desk.started_at = at


def _cause(message: Message) -> int | None:
    text = message.get("Cause", "")
    return int(text) if text.isdecimal() and len(text) <= 3 else None


HANDLERS: dict[str, Handler] = {
    "Newchannel": newchannel,
    "Newstate": newstate,
    "NewCallerid": newcallerid,
    "Hangup": hangup,
    "HangupRequest": hangup_request,
    "DialBegin": dial_begin,
    "DialEnd": dial_end,
    "OriginateResponse": originate_response,
    "BridgeEnter": bridge_enter,
    "BridgeLeave": bridge_leave,
    "BridgeDestroy": bridge_destroy,
    "ConfbridgeJoin": confbridge_join,
    "Pickup": pickup,
    "BlindTransfer": transfers.blind,
    "AttendedTransfer": transfers.attended,
    "QueueCallerJoin": queue_caller_join,
    "QueueCallerLeave": queue_caller_leave,
    "AgentRingNoAnswer": agent_ring_no_answer,
    "MessageWaiting": voicemail.message_waiting,
    "UserEvent": user_event,
    "VarSet": var_set,
    "Newexten": new_exten,
    "Shutdown": shutdown,
    "PbxcrmStarted": started,
    "PbxcrmHungUpBy": hung_up_by,
}
