"""Builds the AMI actions of our commands: click-to-call, transfer, hang up.

The right ``write=originate`` almost amounts to running code on the PBX, so no text from a browser reaches Asterisk unchecked:
channel, context and priority come from the settings, a number holds only digits, ``+``, ``*`` and ``#``, and an extension
must match the pattern that the People page accepts.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from ami.errors import UnsafeValue
from pbxcrm.people.rules import EXTENSION

_NUMBER = re.compile(r"[+*#0-9]{1,32}")
_CONTEXT = re.compile(r"[A-Za-z0-9_.-]{1,79}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A channel's name or its Uniqueid. No leading slash: Hangup treats /…/ as a pattern over all channels.
_CHANNEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/;@+*#=-]{0,127}")
_TEMPLATE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@-]*\{extension\}[A-Za-z0-9_./@-]*")

#: Action headers as they go to Asterisk.
Action = dict[str, str]


def _match(pattern: re.Pattern[str], name: str, value: str) -> str:
    # fullmatch on ASCII classes also refuses line breaks and NUL, and digits of other scripts
    if not pattern.fullmatch(value):
        raise UnsafeValue(f"{name} must not be sent to a PBX", field=name)
    return value


@dataclass(frozen=True, slots=True)
class Dialling:
    """How this PBX dials; comes from the settings, never from a request."""

    channel: str = "PJSIP/{extension}"  # how a seller's own phone is rung; Local/{extension}@from-internal also works
    context: str = "from-internal"  # the dialplan context that dials a number

    def __post_init__(self) -> None:
        _match(_TEMPLATE, "dial_channel", self.channel)
        _match(_CONTEXT, "dial_context", self.context)


def originate(how: Dialling, *, extension: str, number: str, call_id: str, timeout_seconds: int = 25) -> Action:
    """Ring a seller's phone, then dial the client: the phone shows the client's number while it rings.

    ``call_id`` is a UUID chosen by the caller of this function. It becomes the channel's Uniqueid and the call's Linkedid
    (``crm-<uuid>``), so the call is recognised with certainty, and the PBX refuses a second one while the first lives.
    """
    call_id = _match(_UUID, "call_id", call_id)
    number = _match(_NUMBER, "number", number)
    if not 1 <= timeout_seconds <= 120:
        raise UnsafeValue("timeout must be 1 to 120 seconds", field="timeout_seconds")
    return {
        "Action": "Originate",
        "Channel": how.channel.format(extension=_match(EXTENSION, "extension", extension)),
        "Context": how.context,
        "Exten": number,
        "Priority": "1",
        "CallerID": f'"{number}" <{number}>',
        "Timeout": str(timeout_seconds * 1000),
        "ChannelId": f"crm-{UUID(call_id)}",
        "OtherChannelId": f"crm-{UUID(call_id)}-2",
        "Async": "true",
    }


def exists(how: Dialling, *, channel: str, number: str) -> Action:
    """Ask whether the dialplan has an extension ``number``; the answer's Value is 0 when it has none.

    BlindTransfer does not check: for an unknown number it answers Success and the client is disconnected.
    """
    number, channel = _match(_NUMBER, "number", number), _match(_CHANNEL, "channel", channel)
    return {"Action": "Getvar", "Channel": channel, "Variable": f"DIALPLAN_EXISTS({how.context},{number},1)"}


def alive(_how: Dialling, **_params: str) -> Action:
    """Ping the PBX first: a PBX that hangs would carry out the command later."""
    return {"Action": "Ping"}


def transfer(how: Dialling, *, channel: str, number: str) -> Action:
    """Blind transfer: ``channel`` is the transferring phone; the party it talks to is sent to ``number``."""
    return {
        "Action": "BlindTransfer",
        "Channel": _match(_CHANNEL, "channel", channel),
        "Context": how.context,
        "Exten": _match(_NUMBER, "number", number),
    }


def attended_transfer(how: Dialling, *, channel: str, number: str) -> Action:
    """Attended transfer: the phone ``channel`` consults ``number`` first; hanging up completes the transfer.

    Needs ``atxfer`` in features.conf, because Asterisk acts as if the feature code were dialled.
    """
    return {
        "Action": "Atxfer",
        "Channel": _match(_CHANNEL, "channel", channel),
        "Context": how.context,
        "Exten": _match(_NUMBER, "number", number),
    }


def hangup(_how: Dialling, *, channel: str) -> Action:
    """Hang up one channel, normally (cause 16)."""
    return {"Action": "Hangup", "Channel": _match(_CHANNEL, "channel", channel), "Cause": "16"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A command: the function that builds its action, its parameters, and the question to ask the PBX first."""

    build: Callable[..., Action]
    params: frozenset[str]
    ask: Callable[..., Action]  # builds the action that is sent first; takes the same parameters


_TO_NUMBER = frozenset({"channel", "number"})
PLANS: Mapping[str, Plan] = {
    "originate": Plan(originate, frozenset({"extension", "number", "call_id"}), alive),
    "transfer": Plan(transfer, _TO_NUMBER, exists),
    "attended_transfer": Plan(attended_transfer, _TO_NUMBER, exists),
    "hangup": Plan(hangup, frozenset({"channel"}), alive),
}


def build(kind: str, how: Dialling, params: Mapping[str, str]) -> Action:
    """The action of a command. Raises UnsafeValue for an unknown command, and for a wrong, missing or extra parameter."""
    plan = PLANS.get(kind)
    if plan is None:
        raise UnsafeValue(f"there is no command {kind!r}", field="kind")
    if wrong := plan.params ^ params.keys():
        raise UnsafeValue(f"{min(wrong)} is missing or does not belong here", field=min(wrong))
    return plan.build(how, **params)


def question(kind: str, how: Dialling, params: Mapping[str, str]) -> Action:
    """The action the PBX must answer before it gets the command; ``build`` must have accepted ``params``."""
    return PLANS[kind].ask(how, **params)
