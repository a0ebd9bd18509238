"""Who calls whom: the direction, the client and the maker of a call. The kind of the first channel decides."""

from ami.messages import Message
from ami.tracker.call import Channel, TrackedCall
from ami.tracker.endpoints import EndpointKind, Places
from ami.tracker.numbers import dialled_in, name_in, number_in
from pbxcrm.calls.facts import Direction
from pbxcrm.shared.numbers import number_called

#: Two numbers with this many equal last digits are one number in two notations (0671112233 and +380671112233).
_TELLING_DIGITS = 7


def introduce(call: TrackedCall, channel: Channel, message: Message, prefix: str) -> None:
    """Take caller and dialled number from the first event of a call's first channel; later events would overwrite them."""
    kind = channel.place.kind
    if call.first is not channel or channel.dialled:
        return
    if kind is EndpointKind.TRUNK:
        call.trunk = channel.place.endpoint
        call.client_heard = number_in(message.get(prefix + "CallerIDNum"))
        call.client_name = name_in(message.get(prefix + "CallerIDName"))
        call.did = dialled_in(message.get(prefix + "Exten"))
    elif kind is EndpointKind.PHONE:
        call.dialled = dialled_in(message.get(prefix + "Exten"))


def originated(call: TrackedCall, message: Message, places: Places) -> None:
    """Mark a call as originated: the PBX itself calls its first channel, which is our phone or the client."""
    call.originated = True
    if call.first is not None and call.first.place.kind is EndpointKind.TRUNK:
        call.client_heard, call.client_name, call.did = None, None, None  # here the client is being called
        call.shown_outside = number_in(message.get("DestCallerIDNum"))
        return
    asked_for(call, message.get("DestCallerIDNum"), places)


def asked_for(call: TrackedCall, number: str | None, places: Places) -> None:
    """Click-to-call: store the number our phone will be connected to, unless it is the phone's own number."""
    number = dialled_in(number_in(number))
    own = call.first.place.extension if call.first is not None else None
    if call.asked_for is None and number is not None and (own is None or places.extension_of(number) != own):
        call.asked_for = number


def dialled_out(call: TrackedCall, line: Channel, sent: str | None) -> None:
    """An outside line was dialled with the number ``sent``: the client of an outbound call."""
    first = call.first
    if first is not None and first.place.kind is EndpointKind.TRUNK and not first.dialled:
        return  # an inbound call forwarded outside: the client is the caller
    call.trunk = line.place.endpoint
    if call.sent is None or (line is not first and _same_number(sent, call.shown_outside)):
        # Of two outside numbers the client is the one shown as caller id to the other; if unknown, the first.
        call.sent = sent
        call.dialled_first = _dialled_on_the_way(call, line)


def _dialled_on_the_way(call: TrackedCall, line: Channel) -> tuple[str, ...]:
    """The dialled numbers on the way to an outside line, the caller's own first."""
    dialled = []
    if call.first is not None and call.first.place.kind is EndpointKind.PHONE and not call.first.dialled:
        dialled.append(call.first.exten)
    if line.dialled_by is not None:
        dialled.append(line.dialled_by.exten)
    return tuple(dict.fromkeys(dialled))


def tries_outside(call: TrackedCall, channel: Channel, dial_data: str, places: Places) -> None:
    """``Dial(PJSIP/+380509998877@trunk)`` by the caller: if the trunk is down, there is no other trace of the attempt."""
    if channel is not call.first or channel.place.kind is not EndpointKind.PHONE:
        return
    if call.sent is not None:
        return
    for device in dial_data.split("&"):
        technology, _, address = device.partition("/")
        endpoint, slash, number = address.partition("/")  # SIP/trunk/380… and PJSIP/101/sip:101@10.0.0.5
        if not slash:
            number, _, endpoint = address.partition("@")  # PJSIP/380…@trunk
        if (
            number
            and endpoint
            and places.of(f"{technology}/{endpoint}-0").kind is EndpointKind.TRUNK
            and technology != "Local"
        ):
            call.tries_outside = True
            call.trunk = call.trunk or endpoint
            call.sent = call.sent or number.removeprefix("sip:").partition("@")[0]
            call.dialled_first = (channel.exten,)


def orient(call: TrackedCall, places: Places) -> None:
    """Set the direction, the maker and the client of a call."""
    first = call.first
    if first is not None and first.place.kind is EndpointKind.TRUNK and not first.dialled:
        call.direction = Direction.INBOUND
        call.made_by = None
        return
    call.made_by = _made_by(call)
    if call.tries_outside or any(leg.extension is None for leg in call.legs.values()):
        call.direction = Direction.OUTBOUND
    elif call.originated:
        call.direction = Direction.INTERNAL if _is_for_a_colleague(call, places) else Direction.OUTBOUND
    else:
        call.direction = Direction.INTERNAL
    if call.originated:
        call.dialled = call.dialled or call.asked_for
    if call.direction is Direction.OUTBOUND:
        asked = () if call.asked_for is None else (call.asked_for,)
        call.client_heard = number_called((*asked, *call.dialled_first), call.sent, places.region)


def _is_for_a_colleague(call: TrackedCall, places: Places) -> bool:
    """Whether an originated call without an outside line is between two of our phones."""
    if call.is_among_phones or call.listens:
        return True
    if call.asked_for is not None:
        return places.extension_of(call.asked_for) is not None
    return len({leg.extension for leg in call.legs.values()}) > 1


def _made_by(call: TrackedCall) -> str | None:
    first = call.first
    if first is not None and first.place.kind is EndpointKind.PHONE and (call.originated or not first.dialled):
        return first.place.extension
    if not call.originated:
        return call.made_by
    if call.talked and first is not None and first.place.kind is EndpointKind.TRUNK:
        return next(iter(call.talked))  # the client was called first; many phones may have rung after that
    called = (leg.extension for leg in call.legs.values() if leg.extension is not None)
    return next(called, None) or next(iter(call.talked), None)


def _same_number(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one[-_TELLING_DIGITS:] == other[-_TELLING_DIGITS:]
