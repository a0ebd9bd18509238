"""Reads from a channel's name what it leads to: one of our phones, a trunk, or the PBX itself.

The direction of a call follows from this, never from the length of a number.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase

from ami.tracker.settings import TrackerSettings


class EndpointKind(Enum):
    """What a channel leads to: a telephone of the office, a trunk, or a part of the PBX itself."""

    PHONE = auto()  # an extension of ours
    TRUNK = auto()  # the outside world
    LOCAL = auto()  # one half of a Local pair: a wire inside the PBX
    MACHINE = auto()  # announcers, recorders, voice bots, masquerade surrogates: nobody


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a channel leads to. ``pair`` and ``half`` are only for LOCAL: ``Local/103@office-00000005`` and 1 or 2.

    ``technology`` is only for TRUNK: ``PJSIP``.
    """

    kind: EndpointKind
    endpoint: str
    extension: str | None = None
    pair: str = ""
    half: int = 0
    technology: str = ""

    @property
    def name(self) -> str:
        """What the extension pattern must match: the endpoint, for ports with its technology (``DAHDI/33``)."""
        return self.endpoint if self.technology in _HAVE_ENDPOINTS else f"{self.technology}/{self.endpoint}"


#: Technologies without a person: parts of the PBX, and programs that speak (AudioSocket, WebSocket, ExternalMedia of ARI).
_MACHINES = frozenset({
    "Announcer", "AsyncGoto", "AudioSocket", "Bridge", "CBAnn", "CBRec", "ConfBridgeRecorder", "ExternalMedia", "Message",
    "MulticastRTP", "Recorder", "Snoop", "Surrogate", "UnicastRTP", "WebSocket",
})  # fmt: skip
#: Technologies that name their channels after an endpoint, which may be a phone. The others (DAHDI, Dongle, Khomp …) are lines,
#: whatever digits they carry: DAHDI/33 is the line on port 33.
_HAVE_ENDPOINTS = frozenset({"H323", "IAX2", "MGCP", "OOH323", "PJSIP", "SCCP", "SIP", "Skinny", "UNISTIM", "USTM"})
_LOCAL = re.compile(r"(Local/.*);([12])")
#: Usual names of contexts; used only when neither the trunks nor the extension pattern match an endpoint.
_OUTSIDE_CONTEXT = re.compile(r"(?i)from-(trunk|pstn|did|sip-external|dahdi|zaptel)|incoming|inbound")
_INSIDE_CONTEXT = re.compile(r"(?i)from-internal")
_MOST_KNOWN = 10_000


def is_spy(channel: str) -> bool:
    """Whether a channel carries the sound of another one, for whoever listens in (Snoop of ARI)."""
    return channel.startswith("Snoop/")


class Places:
    """Reads channel names by the settings of one PBX, and caches the results."""

    def __init__(self, settings: TrackerSettings) -> None:
        self.region = settings.region
        self._trunks = settings.trunks
        self._extension = re.compile(settings.extension_pattern)
        self._known: dict[tuple[str, str], Endpoint] = {}

    def extension_of(self, name: str) -> str | None:
        """The extension of an endpoint or dialled number; None if it is not one of ours."""
        match = self._extension.fullmatch(name)
        if match is None:
            return None
        return next((group for group in match.groups() if group), name)

    def of(self, channel: str, context: str = "") -> Endpoint:
        """The endpoint of a channel by its name: ``PJSIP/101-0000004c`` or ``Local/103@office-00000005;1``."""
        channel = channel.partition("<")[0]  # PJSIP/101-0000004c<ZOMBIE>
        local = _LOCAL.fullmatch(channel)
        if local is not None:
            pair = local[1]
            number = pair.removeprefix("Local/").partition("@")[0]
            return Endpoint(EndpointKind.LOCAL, number, self.extension_of(number), pair, int(local[2]))
        device = _device(channel)
        place = self._known.get((device, context))
        if place is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            place = self._known[device, context] = self._read(device, context)
        return place

    def _read(self, device: str, context: str) -> Endpoint:
        technology, _, endpoint = device.partition("/")
        if technology in _MACHINES or not endpoint:
            return Endpoint(EndpointKind.MACHINE, endpoint)
        if any(fnmatchcase(endpoint, glob) or fnmatchcase(device, glob) for glob in self._trunks):
            return Endpoint(EndpointKind.TRUNK, endpoint, technology=technology)
        extension = self.extension_of(endpoint if technology in _HAVE_ENDPOINTS else device)
        if extension is None and _INSIDE_CONTEXT.match(context) and not _OUTSIDE_CONTEXT.search(context):
            extension = endpoint
        return (
            Endpoint(EndpointKind.TRUNK, endpoint, technology=technology)
            if extension is None
            else Endpoint(EndpointKind.PHONE, endpoint, extension)
        )


def _device(channel: str) -> str:
    """``PJSIP/my-phone`` from ``PJSIP/my-phone-0000004c``; ``DAHDI/i1`` from ``DAHDI/i1/380441234567-2``."""
    technology, _, rest = channel.partition("/")
    endpoint = rest.rpartition("-")[0] or rest
    return f"{technology}/{endpoint.partition('/')[0]}"
