"""Pure: how many SMS a text needs (GSM 03.38, 3GPP TS 23.038 and 23.040), and which numbers take one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from pbxcrm.contacts.models import WayKind
from pbxcrm.shared.numbers import is_fixed, is_mobile

MOST_PARTS = 10  # of one message; gateways take so many
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # each is an escape and a letter
_GSM_WHOLE, _GSM_PART = 160, 153
_UNICODE_WHOLE, _UNICODE_PART = 70, 67  # in 16-bit units
_LAST_OF_BMP = 0xFFFF
_BLANKS = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


def tidy(text: str) -> str:
    """Without blanks that stand where a field is empty: each letter is paid for."""
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in text.strip().splitlines())


@dataclass(frozen=True, slots=True)
class SmsSize:
    """``units``: of 7 bits, or (``is_unicode``) of 16. ``left``: units that fit into the last part."""

    parts: int
    units: int
    left: int
    is_unicode: bool


def size_of(text: str) -> SmsSize:
    """How many SMS the text needs. Letters outside the alphabet of GSM, such as Cyrillic ones, make all of it 16 bits wide."""
    is_unicode = not all(letter in _BASIC or letter in _EXTENDED for letter in text)
    units = sum(_widths(text, is_unicode=is_unicode))
    whole, part = (_UNICODE_WHOLE, _UNICODE_PART) if is_unicode else (_GSM_WHOLE, _GSM_PART)
    if units <= whole:
        return SmsSize(1, units, whole - units, is_unicode)
    parts, used = 1, 0
    for width in _widths(text, is_unicode=is_unicode):
        if used + width > part:  # a pair is never parted
            parts, used = parts + 1, 0
        used += width
    return SmsSize(parts, units, part - used, is_unicode)


def _widths(text: str, *, is_unicode: bool) -> Iterator[int]:
    for letter in text:
        yield 2 if (ord(letter) > _LAST_OF_BMP if is_unicode else letter in _EXTENDED) else 1


def number_for_sms(numbers: Iterable[tuple[str, str]]) -> str:
    """The number that an SMS goes to, of numbers with their kinds, the main one first: one that somebody called mobile, one of a
    mobile network, or one of which neither is known. Empty: there is none.
    """
    possible = [(number, kind) for number, kind in numbers if takes_sms(number) and not is_fixed(number)]
    mobile = (number for number, kind in possible if kind == WayKind.MOBILE)
    likely = (number for number, _kind in possible if is_mobile(number))
    return next(chain(mobile, likely, (number for number, _kind in possible)), "")


def takes_sms(number: str) -> bool:
    """Whether a gateway can be asked to send there: a whole number in E.164."""
    return _NUMBER.fullmatch(number) is not None
