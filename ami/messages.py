"""Turns the bytes of the Asterisk Manager Interface into messages.

Three steps, each as cheap as possible, because we need only about a tenth of a full-privilege stream:
``Framer`` cuts the byte stream into whole messages, ``is_wanted`` looks at the event's name only, ``parse`` decodes.
Decoding follows framing, so a character split between two reads of the socket is never damaged.
"""

import re

#: Header names as Asterisk spells them; values are text without control characters.
Message = dict[str, str]

END = b"\r\n\r\n"
#: A message longer than this (bytes) is not from Asterisk, or not for us.
MAX_MESSAGE = 1_000_000

#: Some events (ConfbridgeJoin, ParkedCall) end with an extra empty line, which then stands before the next message.
_ONE_LINE_TOO_MANY = END + b"\r"
_BANNER = b"Asterisk Call Manager"
_EVENT = b"Event: "

#: The events the tracker needs. ``manager.conf`` may filter out everything else.
WANTED = frozenset(
    {
        b"ConfbridgeJoin",
        b"Newchannel",
        b"Newstate",
        b"NewCallerid",
        b"Hangup",
        b"HangupRequest",
        b"DialBegin",
        b"DialEnd",
        b"OriginateResponse",
        b"BridgeEnter",
        b"BridgeLeave",
        b"BridgeDestroy",
        b"Pickup",
        b"BlindTransfer",
        b"AttendedTransfer",
        b"QueueCallerJoin",
        b"QueueCallerLeave",
        b"AgentRingNoAnswer",
        b"MessageWaiting",
        b"UserEvent",
        b"Shutdown",
    }
)

#: Events that are too frequent to take all of: the header that decides, and the values for which we take them.
HINTS = {
    b"VarSet": (b"\r\nVariable: ", frozenset({b"QUEUESTATUS", b"VMSTATUS", b"DIALSTATUS"})),
    b"Newexten": (b"\r\nApplication: ", frozenset({b"Queue", b"Dial"})),
}

_CONTROL_BYTES = bytes(range(32)) + b"\x7f"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Framer:
    """Cuts a byte stream into whole messages, wherever the reads split it.

    ``dropped`` counts messages longer than ``limit`` bytes; they are discarded unread.
    """

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self.dropped = 0
        self._limit = limit
        self._rest = bytearray()
        self._at_start = True
        self._dropping = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete now, each without its final empty line and without the banner."""
        if END not in self._rest[-3:] + data:
            self._keep(data)
            return []
        stream = bytes(self._rest + data) if self._rest else data
        messages = stream.split(END)
        self._rest = bytearray()
        last = messages.pop()
        if self._dropping:  # the first part is the tail of the over-long message
            self._dropping = False
            messages.pop(0)
        self._keep(last)
        if self._at_start and messages:
            self._at_start = False
            messages[0] = _without_banner(messages[0])
        if len(stream) > self._limit:
            messages = [message for message in messages if not self._is_too_long(message)]
        if _ONE_LINE_TOO_MANY in stream or stream[:1] in b"\r\n":
            messages = [message.lstrip(b"\r\n") for message in messages]
        return [message for message in messages if message]

    def _keep(self, data: bytes) -> None:
        if self._dropping:
            self._rest = bytearray((self._rest + data)[-3:])
            return
        self._rest += data
        if self._is_too_long(self._rest):
            self._dropping = True
            self._rest = self._rest[-3:]

    def _is_too_long(self, message: bytes | bytearray) -> bool:
        if len(message) <= self._limit:
            return False
        self.dropped += 1
        return True


def _without_banner(message: bytes) -> bytes:
    """Remove the banner: one line before the first message, with no empty line between them."""
    if not message.startswith(_BANNER):
        return message
    return message.partition(b"\r\n")[2]


def is_wanted(raw: bytes) -> bool:
    """Whether the tracker needs the message; looks at a few bytes only, without decoding."""
    end = raw.find(b"\r", 7)
    name = raw[7:end] if end > 0 else raw[7:]
    if name in WANTED:
        return raw.startswith(_EVENT)  # neither a response nor an item of a requested list
    hint = HINTS.get(name)
    if hint is None:
        return False
    header, values = hint
    start = raw.rfind(header) + len(header)
    return raw[start : raw.find(b"\r", start)] in values if start >= len(header) else False


def parse(raw: bytes) -> Message:
    """Decode one framed message. Never raises, whatever the bytes.

    The first value of a repeated header keeps the plain name; the next ones are ``Name#2``, ``Name#3`` …
    Values lose one leading space and nothing else; an empty value stays ``""``. Text is UTF-8; a line that is not valid UTF-8
    is read as cp1252. Control characters become spaces. Lines without a colon are skipped.
    """
    line_ends = raw.count(b"\r\n")
    if len(raw) - len(raw.translate(None, _CONTROL_BYTES)) != 2 * line_ends or b":\r\n" in raw:
        return _parse_slowly(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _parse_slowly(raw)
    # One split of the whole message takes half the time of one split per line.
    names_and_values = text.replace("\r\n", ": ").split(": ")
    if len(names_and_values) != 2 * line_ends + 2:
        return _parse_slowly(raw)  # a value with a colon of its own, or rubbish
    pairs = iter(names_and_values)
    message = dict(zip(pairs, pairs, strict=True))
    return message if len(message) == line_ends + 1 else _parse_slowly(raw)


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _parse_slowly(raw: bytes) -> Message:
    """Parse a rare message: a repeated header, a colon in a value, an empty value without its space, broken text, rubbish."""
    message: Message = {}
    times_seen: dict[str, int] = {}
    for line in map(_decode, raw.split(b"\r\n")):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            continue
        value = _CONTROL.sub(" ", value.removeprefix(" "))
        name = _CONTROL.sub(" ", name)
        times_seen[name] = times_seen.get(name, 0) + 1
        if times_seen[name] > 1:
            name = f"{name}#{times_seen[name]}"
        message.setdefault(name, value)
    return message
