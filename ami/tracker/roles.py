"""Who calls whom: direction, the client, the maker of a call. Decided by where the first channel came from."""

from ami.messages import Message
from ami.tracker.call import Call
from ami.tracker.channel import Channel
from ami.tracker.endpoints import Kind, Places
from ami.tracker.numbers import dialled_in, name_in, number_in, number_sent
from pbxcrm.calls.facts import Direction

#: So many last digits alike make two spellings of one number (0671112233 and +380671112233).
_TELLING_DIGITS = 7


def introduce(call: Call, channel: Channel, message: Message, prefix: str) -> None:
    """A channel is seen for the first time: what it says of the caller is frozen now, later events change it."""
    kind = channel.place.kind
    if call.first is not channel or channel.dialled:
        return
    if kind is Kind.TRUNK:
        call.trunk = channel.place.endpoint
        call.client_heard = number_in(message.get(prefix + "CallerIDNum"))
        call.client_name = name_in(message.get(prefix + "CallerIDName"))
        call.did = dialled_in(message.get(prefix + "Exten"))
    elif kind is Kind.PHONE:
        call.dialled = dialled_in(message.get(prefix + "Exten"))


def originated(call: Call, message: Message, places: Places) -> None:
    """The PBX itself calls this call's first channel: an Originate. The phone that rings first is ours."""
    call.originated = True
    if call.first is not None and call.first.place.kind is Kind.TRUNK:
        call.client_heard, call.client_name, call.did = None, None, None  # it is the client that is being called
        return
    asked_for(call, message.get("DestCallerIDNum"), places)


def asked_for(call: Call, number: str | None, places: Places) -> None:
    """Click-to-call: the number our phone shall be connected with, where it is not the phone's own."""
    number = dialled_in(number_in(number))
    own = call.first.place.extension if call.first is not None else None
    if call.asked_for is None and number is not None and (own is None or places.extension_of(number) != own):
        call.asked_for = number


def dialled_out(call: Call, line: Channel, message: Message) -> None:
    """An outside line was dialled: the client of an outbound call."""
    if call.first is not None and call.first.place.kind is Kind.TRUNK and not call.first.dialled:
        return  # an inbound call on its way out again: the client is the one who called
    call.trunk = line.place.endpoint
    if call.client_heard is None:
        call.client_heard = number_sent(message)


def tries_outside(call: Call, channel: Channel, dial_data: str, places: Places) -> None:
    """``Dial(PJSIP/+380509998877@trunk)`` by the one who calls: without a line (trunk down) it leaves no other trace."""
    if channel is not call.first or channel.place.kind is not Kind.PHONE:
        return
    for device in dial_data.split("&"):
        technology, _, address = device.partition("/")
        endpoint, slash, number = address.partition("/")  # SIP/trunk/380… and PJSIP/101/sip:101@10.0.0.5
        if not slash:
            number, _, endpoint = address.partition("@")  # PJSIP/380…@trunk
        if number and endpoint and places.of(f"{technology}/{endpoint}-0").kind is Kind.TRUNK and technology != "Local":
            call.tries_outside = True
            call.trunk = call.trunk or endpoint
            call.client_heard = call.client_heard or number.removeprefix("sip:").partition("@")[0]


def orient(call: Call, places: Places) -> None:
    """Set the direction and what follows from it."""
    first = call.first
    if first is not None and first.place.kind is Kind.TRUNK and not first.dialled:
        call.direction = Direction.INBOUND
        call.made_by = None
        return
    call.made_by = _made_by(call)
    if call.tries_outside or any(leg.extension is None for leg in call.legs.values()):
        call.direction = Direction.OUTBOUND
    elif call.originated:
        colleague = call.asked_for is not None and places.extension_of(call.asked_for) is not None
        call.direction = Direction.INTERNAL if colleague else Direction.OUTBOUND
    else:
        call.direction = Direction.INTERNAL
    if call.originated:
        call.dialled = call.dialled or call.asked_for
        if call.direction is Direction.OUTBOUND:
            call.client_heard = _better_spelling(call.client_heard, call.asked_for)


def _made_by(call: Call) -> str | None:
    first = call.first
    if first is not None and first.place.kind is Kind.PHONE and (call.originated or not first.dialled):
        return first.place.extension
    if not call.originated:
        return call.made_by
    return next((leg.extension for leg in call.legs.values() if leg.extension is not None), None)


def _better_spelling(sent: str | None, asked: str | None) -> str | None:
    """The number as the CRM asked for it, unless the PBX sent another one."""
    if asked is None or sent is None:
        return sent or asked
    return asked if sent[-_TELLING_DIGITS:] == asked[-_TELLING_DIGITS:] else sent
