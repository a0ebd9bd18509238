"""Pure decisions about click-to-call: which phone rings, on which PBX, and whom not to call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.state import PbxState
from pbxcrm.shared.errors import Invalid, Unavailable
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.numbers import MOST_DIGITS, dialable, is_several, normalise, too_long

#: States in which the listener can still send an order.
_CONNECTED = {PbxState.LISTENING.value, PbxState.TROUBLE.value}


def check_number(heard: str, region: str) -> str:
    """The number to dial, E.164 if possible. Raises Invalid for one that cannot be dialled or is too long, and for two in one text."""
    number = normalise(heard, region)
    if number is not None and is_several(heard, region):
        raise Invalid(
            "number", "phone.one_number", "“{number}” is more than one number.", number=heard.strip()[:LONGEST_REPEATED]
        )
    if number is not None and too_long(number):
        raise Invalid(
            "number",
            "numbers.too_long",
            "“{number}” is too long: a telephone number has at most {most} digits.",
            number=heard.strip()[:LONGEST_REPEATED],
            most=MOST_DIGITS,
        )
    if number is None or not dialable(number):
        raise Invalid("number", "phone.number", "This is not a number that can be called.")
    return number


def choose_extension(own: Sequence[str], asked: str, last_used: str | None) -> str:
    """The extension that rings first: the one asked for, else the one used last, else the first. Raises Invalid."""
    if not own:
        raise Invalid(
            "extension",
            "phone.no_extension",
            "You have no extension, so no phone of yours can ring. Ask an administrator.",
        )
    if asked:
        if asked not in own:
            raise Invalid(
                "extension",
                "phone.not_yours",
                "{extension} is not an extension of yours.",
                extension=asked[:LONGEST_REPEATED],
            )
        return asked
    return last_used if last_used is not None and last_used in own else own[0]


#: A lease is renewed twice a second by the database's clock, while ``now`` is from a machine. An order for a listener that
#: has just died expires by itself.
_CLOCKS_DIFFER = timedelta(seconds=10)


def choose_pbx(names: Sequence[str], last_seen: str | None) -> str:
    """The PBX of an extension: where it was last seen, else the first in the settings. Raises Unavailable."""
    if not names:
        raise Unavailable("phone.no_pbx", "No PBX is configured, so nothing can be dialled from here.")
    return last_seen if last_seen is not None and last_seen in names else names[0]


def check_pbx(status: PbxStatus | None, now: datetime) -> None:
    """Raise Unavailable if an order cannot be sent at once, because nothing is dialled later."""
    alive = status is not None and status.lease_until is not None and status.lease_until > now - _CLOCKS_DIFFER
    if status is None or not alive:
        raise Unavailable("phone.no_listener", "Nobody is listening to the PBX now, so nothing was dialled.")
    if status.state not in _CONNECTED:
        raise Unavailable(
            "phone.pbx_away", "The PBX is not connected now, so nothing was dialled. Try again when it is back."
        )


def whose_extension(number: str, by_extension: Mapping[str, int], names: Mapping[int, str]) -> str | None:
    """The name of the colleague with the extension ``number``; None if nobody has it."""
    user_id = by_extension.get(number)
    return None if user_id is None else names.get(user_id, "")
