"""How a story is written down: ``@story(inbound(…), …)`` before a coroutine that drives an ``AsteriskOffice``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.asterisk.office import AsteriskOffice

Call = dict[str, object]
Drive = Callable[[AsteriskOffice], Awaitable[None]]
CLIENT = "+380671112233"
OUTSIDE = "+380509998877"


@dataclass(frozen=True)
class Story:
    """``filtered``: record it for the least-privilege manager user too. ``restarts``: the PBX ends the stream itself.

    ``technologies``: the channel drivers that can do it at all.
    """

    name: str
    drive: Drive
    calls: tuple[Call, ...]
    filtered: bool = False
    restarts: bool = False
    technologies: tuple[str, ...] = ("PJSIP", "SIP")


STORIES: dict[str, Story] = {}


def story(
    *calls: Call, filtered: bool = False, restarts: bool = False, technologies: tuple[str, ...] = ("PJSIP", "SIP")
) -> Callable[[Drive], Drive]:
    """Register the coroutine under its own name, with the calls that it makes, in the order of their beginning."""

    def register(drive: Drive) -> Drive:
        name = getattr(drive, "__name__", "")
        STORIES[name] = Story(name, drive, calls, filtered, restarts, technologies)
        return drive

    return register


def inbound(outcome: str, **more: object) -> Call:
    """The client called; nobody rang and nobody talked unless ``more`` says so."""
    call: Call = {"direction": "inbound", "outcome": outcome, "client_number": CLIENT, "made_by": None}
    call |= {"rang": [], "answered_by": None, "talked": [], "transfers": [], "click_to_call": False}
    return call | more


def outbound(outcome: str, **more: object) -> Call:
    """101 called the client outside."""
    call: Call = {"direction": "outbound", "outcome": outcome, "client_number": OUTSIDE, "made_by": "101"}
    return call | {"answered_by": None, "talked": [], "transfers": [], "click_to_call": False} | more


def internal(outcome: str, **more: object) -> Call:
    """101 called a colleague."""
    call: Call = {"direction": "internal", "outcome": outcome, "client_number": None, "made_by": "101"}
    return call | {"answered_by": None, "talked": [], "transfers": [], "click_to_call": False} | more


def without(call: Call, *keys: str) -> Call:
    """What a story leaves open is not expected."""
    return {key: value for key, value in call.items() if key not in keys}


def moved(source: str, target: str, kind: str) -> list[dict[str, str]]:
    """The one transfer of a call."""
    return [{"from": source, "to": target, "kind": kind}]
