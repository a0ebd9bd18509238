"""Reads numbers and names from AMI headers, including the PBX's words for "no number"."""

import re

from ami.messages import Message

_NO_NUMBER = frozenset({"", "<unknown>", "unknown", "anonymous", "unavailable", "restricted", "withheld", "private"})
#: Extensions that nobody dialled: internal steps of the dialplan.
_DIALPLAN_STEPS = frozenset({"", "s", "i", "t", "h", "failed"})
#: What is sent to a trunk rather than the name of a telephone.
_A_NUMBER = re.compile(r"\+?[\d*#]{6,}")
#: Bit of ``CID-CallingPres``: presentation prohibited (ITU-T Q.951).
_PROHIBITED = 0x20


def number_in(text: str | None) -> str | None:
    """``text``, or None if it is one of the PBX's words for "no number"."""
    return None if text is None or text.strip().lower() in _NO_NUMBER else text


def name_in(text: str | None) -> str | None:
    """A caller's name, or None if it is one of the PBX's words for "no name"."""
    return number_in(text)


def dialled_in(exten: str | None) -> str | None:
    """``exten`` if somebody dialled it; None for feature codes (``*8`` picks up a call) and internal dialplan steps."""
    return None if exten is None or exten in _DIALPLAN_STEPS or exten.startswith("*") else exten


def number_sent(message: Message) -> str | None:
    """The number a ``DialBegin`` sends to a trunk: from the dial string, else from ``DestCallerIDNum`` or ``DestExten``.

    ``+380509998877@trunk`` (PJSIP), ``trunk/+380509998877`` (SIP, IAX2), ``g1/380509998877`` (DAHDI). When the PBX
    itself calls (no source channel), only the dial string counts: ``DestCallerIDNum`` is then the caller id it shows.
    """
    dial_string = message.get("DialString", "").removeprefix("PJSIP/")
    if "/sip:" in dial_string:
        candidate = dial_string.partition("/sip:")[2].partition("@")[0]
    elif "@" in dial_string:
        candidate = dial_string.partition("@")[0]
    else:
        candidate = dial_string.rpartition("/")[2] if "/" in dial_string else ""
    if candidate and any(c.isdigit() for c in candidate):
        return candidate
    if not message.get("Uniqueid"):
        return None
    return number_in(message.get("DestCallerIDNum")) or dialled_in(message.get("DestExten"))


def names_only(message: Message, endpoint: str) -> bool:
    """Whether a ``DialBegin`` calls the endpoint by its name alone, as telephones are called: nothing is left to be dialled there.

    ``101-WS`` and ``PJSIP/101-WS`` (a queue), or with the address of the telephone: ``101-WS/sip:k3j9@10.0.0.5:5060``.
    """
    address, has_contact, contact = message.get("DialString", "").partition("/sip:")
    named = address == endpoint or (address.count("/") == 1 and address.endswith(f"/{endpoint}"))
    return named and not (has_contact and _A_NUMBER.fullmatch(contact.partition("@")[0]))


def is_withheld(message: Message) -> bool:
    """Whether the caller withheld the number; ``CID-CallingPres: 32 (Presentation Prohibited…)``."""
    presentation = message.get("CID-CallingPres", "").partition(" ")[0]
    return presentation.isdecimal() and len(presentation) <= 3 and bool(int(presentation) & _PROHIBITED)
