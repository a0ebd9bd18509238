"""Calls written down as telephone people tell them, and turned into the messages Asterisk would send.

A story is a table of lines, ``seconds  what  channels and details``:

    0.0  new      client  SIP/trunk-0001   Ring  0671112233 > 100     a channel, its state, from whom, to what number
    0.1  new      p101    SIP/101-0002     Down  of client            of: it has the Linkedid of that channel
    0.1  dial     client  p101                                        DialBegin; with one channel: an Originate
    0.2  ringing  p101                                                Newstate; also: up
    3.0  dialend  client  p101  ANSWER
    3.0  enter    b1  p101                                            BridgeEnter; hold: a holding bridge
    9.0  leave    b1  p101
    9.1  hangup   p101  16

Channels are called by the name given in ``new``. Anything else is an event with its headers: ``5.0  event  Name  Header=value …``,
where ``Header=@channel`` gives Channel, Uniqueid and Linkedid with that prefix (``Channel=@client`` plainly).
"""

from datetime import UTC, datetime, timedelta

from ami.messages import Message
from ami.tracker import Tracker, TrackerSettings
from pbxcrm.calls.facts import CallFact, CallState, FactKind

BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


CLIENT_RINGS_101 = """
0.0  new      client  SIP/trunk-00000001  Ring  0671112233 > 380441234567
0.1  new      p101    SIP/101-00000002    Down  101 of client
0.1  dial     client  p101
0.2  ringing  p101
"""
TALKS_WITH_101 = (
    CLIENT_RINGS_101
    + """
4.0  up       p101
4.0  dialend  client  p101  ANSWER
4.0  up       client
4.0  enter    b1  p101
4.0  enter    b1  client
"""
)
#: The phone of 101 has not hung up yet.
TRANSFERRED_TO_103 = (
    TALKS_WITH_101
    + """
9.0   event    BlindTransfer  Result=Success  Transferer=@p101  Transferee=@client  Extension=103
9.0   leave    b1  client
9.0   leave    b1  p101
9.0   new      p103    SIP/103-00000003    Down  103 of client
9.0   dial     client  p103
9.1   ringing  p103
9.5   up       p103
9.5   enter    b2  p103
9.5   enter    b2  client
"""
)


class MessageStory:
    """Tells a tracker a story; ``facts`` are all it said of it, ``calls`` the last of each call, in the order they began."""

    def __init__(self, text: str = "", config: TrackerSettings | None = None, tracker: Tracker | None = None) -> None:
        self.tracker = tracker or Tracker(config)
        self.facts: list[CallFact] = []
        self._channels: dict[str, dict[str, str]] = {}
        self.tell(text)

    def tell(self, text: str) -> "MessageStory":
        for line in text.splitlines():
            if line.strip():
                self._tell_line(line.split())
        return self

    def wait(self, seconds: float) -> "MessageStory":
        """The clock says that so many seconds have passed since the beginning."""
        self.facts += self.tracker.tick(BEGIN + timedelta(seconds=seconds))
        return self

    @property
    def calls(self) -> list[CallState]:
        calls: dict[str, CallState] = {}
        for fact in self.facts:
            calls[fact.call.linkedid] = fact.call
            if fact.kind is FactKind.ABSORBED:
                del calls[fact.call.linkedid]
        return list(calls.values())

    @property
    def call(self) -> CallState:
        (call,) = self.calls
        return call

    @property
    def said(self) -> str:
        """The facts in short: ``opened ringing:101 joined:101 ended``."""
        return " ".join(f"{fact.kind}:{fact.party}".rstrip(":") for fact in self.facts)

    def _tell_line(self, words: list[str]) -> None:
        at = BEGIN + timedelta(seconds=float(words[0]))
        message = getattr(self, "_" + words[1])(*words[2:])
        self.facts += self.tracker.feed(message, at)

    def _shown(self, name: str, prefix: str = "") -> Message:
        return {prefix + header: value for header, value in self._channels[name].items()}

    def _new(self, name: str, channel: str, state: str = "Down", *words: str) -> Message:
        uniqueid = f"{int(BEGIN.timestamp())}.{len(self._channels) + 1}"
        rest = list(words)
        linkedid = uniqueid
        if "of" in rest:
            linkedid = self._channels[rest.pop(rest.index("of") + 1)]["Linkedid"]
            rest.remove("of")
        exten = ""
        if ">" in rest:
            exten = rest.pop(rest.index(">") + 1)
            rest.remove(">")
        context = next(
            (rest.pop(i) for i, word in enumerate(rest) if word.startswith("in:")), "in:office"
        ).removeprefix("in:")
        self._channels[name] = {
            "Channel": channel,
            "ChannelStateDesc": state,
            "CallerIDNum": " ".join(rest) or "<unknown>",
            "CallerIDName": "<unknown>",
            "Context": context,
            "Exten": exten,
            "Uniqueid": uniqueid,
            "Linkedid": linkedid,
        }
        return {"Event": "Newchannel", **self._shown(name)}

    def _state(self, name: str, state: str) -> Message:
        self._channels[name]["ChannelStateDesc"] = state
        return {"Event": "Newstate", **self._shown(name)}

    def _ringing(self, name: str) -> Message:
        return self._state(name, "Ringing")

    def _up(self, name: str) -> Message:
        return self._state(name, "Up")

    def _dial(self, source: str, dialled: str = "", dial_string: str = "") -> Message:
        if not dialled:
            return {"Event": "DialBegin", **self._shown(source, "Dest")}
        return {"Event": "DialBegin", "DialString": dial_string, **self._shown(source), **self._shown(dialled, "Dest")}

    def _originate(self, name: str, number: str) -> Message:
        dialled = {"DialString": f"trunk/{number}"} if name.startswith("line") else {"DestCallerIDNum": number}
        return {"Event": "DialBegin", **self._shown(name, "Dest"), **dialled}

    def _dialend(self, source: str, dialled: str, status: str, forward: str = "") -> Message:
        more = {"Forward": forward} if forward else {}
        return {"Event": "DialEnd", "DialStatus": status, **more, **self._shown(source), **self._shown(dialled, "Dest")}

    def _enter(self, bridge: str, name: str, technology: str = "simple_bridge") -> Message:
        return {"Event": "BridgeEnter", "BridgeUniqueid": bridge, "BridgeTechnology": technology, **self._shown(name)}

    def _hold(self, bridge: str, name: str) -> Message:
        return self._enter(bridge, name, "holding_bridge")

    def _leave(self, bridge: str, name: str) -> Message:
        return {"Event": "BridgeLeave", "BridgeUniqueid": bridge, **self._shown(name)}

    def _hangup(self, name: str, cause: str = "16", context: str = "") -> Message:
        more = {"Context": context} if context else {}
        return {"Event": "Hangup", **self._shown(name), **more, "Cause": cause}

    def _event(self, event: str, *details: str) -> Message:
        message: Message = {"Event": event}
        for detail in details:
            header, _, value = detail.partition("=")
            if value.startswith("@"):
                message |= self._shown(value[1:], "" if header == "Channel" else header)
            else:
                message[header] = value
        return message
