"""Telephone numbers: what a PBX said, turned into one spelling, and back into what people read.

The one spelling is E.164 (``+380671112233``). What cannot be a public number (an extension, a service number, a SIP name)
stays as heard, only cleaned, so that the same caller is at least the same text each time.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

#: Numbers up to this many digits are extensions and service numbers; never E.164.
SHORT_DIGITS = 6
#: Longer than any number; the rest of such a text is not kept.
MAX_HEARD = 64
#: From so many digits on, digits alone may be a number with its country code.
_WHOLE_DIGITS = 11
#: Of a hostile text, so much is looked at (and remembered).
LONGEST_READ = 256

#: What PBXs and carriers say in the place of a number.
_NO_NUMBER = frozenset(
    {
        "anonymous",
        "unknown",
        "unavailable",
        "restricted",
        "withheld",
        "private",
        "blocked",
        "none",
        "null",
        "asterisk",
        "s",
        "n/a",
        "nonumber",
        "privatenumber",
        "unknownnumber",
        "numberunavailable",
        "anonymous.invalid",
    }
)

_DIALABLE = re.compile(r"[+*#0-9]{1,32}")
_URI = re.compile(r"(?:sips?|tel):([^@;>]*)", re.IGNORECASE)
_DIGITS = re.compile(r"\+?[0-9]+")
#: What stands between a service code or an account and the number: ``*31*…``, ``1234#…``; also a pause in a dial string.
_SERVICE_CODE = re.compile(r"[*#wW,]")
_PUNCTUATION = re.compile(r"[\s().\-/]+")


def dialable(number: str) -> bool:
    """Whether ``number`` may be given to the PBX to dial: 1 to 32 of ``+ * # 0-9``, nothing else."""
    return _DIALABLE.fullmatch(number) is not None


def normalise(heard: str | None, region: str) -> str | None:
    """E.164 where ``heard`` is a possible public number seen from ``region`` (ISO 3166, "UA"), else cleaned as heard.

    None where there is no number: empty, ``<unknown>``, ``anonymous`` and their like.
    """
    return _normalise((heard or "")[:LONGEST_READ], region.upper())


@lru_cache(maxsize=20_000)
def _normalise(heard: str, region: str) -> str | None:
    cleaned = _clean(heard)
    if not cleaned or cleaned.partition("@")[0].strip("<>\"'").replace(" ", "").casefold() in _NO_NUMBER:
        return None
    digits = _PUNCTUATION.sub("", cleaned)
    if not re.fullmatch(r"\+?\d+", digits):
        return cleaned
    digits = "".join(c if c == "+" else str(unicodedata.digit(c)) for c in digits)
    if len(digits.lstrip("+")) <= SHORT_DIGITS:
        return digits
    number = _public_number(digits, region)
    return digits if number is None else phonenumbers.format_number(number, PhoneNumberFormat.E164)


@lru_cache(maxsize=20_000)
def format_for_people(number: str) -> str:
    """``+380671112233`` as ``+380 67 111 22 33``; what is not E.164 as it is."""
    parsed = _parse(number, None)
    if parsed is None:
        return number
    text = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
    return _in_pairs(text) if parsed.country_code == 380 else text


@lru_cache(maxsize=20_000)
def format_line(dialled: str) -> str:
    """What a client dialled, for people: many providers say an E.164 number without its plus."""
    if dialled.isdecimal() and len(dialled) >= _WHOLE_DIGITS:
        whole = _parse(f"+{dialled}", None)
        if whole is not None and phonenumbers.is_valid_number(whole):
            return format_for_people(f"+{dialled}")
    return format_for_people(dialled)


@lru_cache(maxsize=20_000)
def national(number: str) -> str:
    """``+380671112233`` as it is dialled at home, ``067 111 22 33``; what is not E.164 as it is."""
    parsed = _parse(number, None)
    if parsed is None:
        return number
    text = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return _in_pairs(text) if parsed.country_code == 380 else text


def number_called(dialled: Iterable[str], sent: str | None, region: str) -> str | None:
    """The client's number of an outbound call, as somebody wrote it: ``0503330077``, ``+380503330077``.

    ``dialled``: what a person or the CRM asked for, nearest to them first; ``sent``: what the outside line was given. Neither alone
    is right: carriers and accounts want prefixes (``8888…``, ``1234#…``, ``*31*…``, ``010*…``), and an office may dial 9 for an outside
    line. What was dialled counts where the number that was sent ends with its significant digits.
    """
    return _number_called(tuple(text[:MAX_HEARD] for text in dialled), sent and sent[:MAX_HEARD], region.upper())


@lru_cache(maxsize=20_000)
def _number_called(dialled: tuple[str, ...], sent: str | None, region: str) -> str | None:
    if sent is None:
        return next(iter(dialled), None)
    digits = _digits(sent)
    for text in dialled:
        for rest in _without_outside_line(text):
            number = _public_number(rest, region)
            if number is not None and digits.endswith(phonenumbers.national_significant_number(number)):
                return rest
    for text in (sent, _SERVICE_CODE.split(sent)[-1]):
        if _DIGITS.fullmatch(text) and _public_number(text, region) is not None:
            return text
    behind_a_prefix = _own_country(_SERVICE_CODE.split(sent)[-1], region)
    if behind_a_prefix is not None:
        return behind_a_prefix
    same_end = (text for text in dialled if len(text) > 2 and text.isdecimal() and digits.endswith(text))
    return next(same_end, sent)


def _without_outside_line(dialled: str) -> Iterator[str]:
    """What was dialled, without service codes (``*31*``), then also without the up to three digits that fetch an outside line."""
    rest = _SERVICE_CODE.split(dialled)[-1]
    if _DIGITS.fullmatch(rest):
        yield rest
        yield from (rest[skip:] for skip in (1, 2, 3) if len(rest) > SHORT_DIGITS + skip and rest[0] != "+")


def _own_country(sent: str, region: str) -> str | None:
    """A number of our own country behind a carrier's prefix of up to eight digits; None where there is none, or a choice."""
    country = phonenumbers.country_code_for_region(region)
    starts = [str(country), phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""]
    for skip in range(1, min(9, len(sent) - SHORT_DIGITS)):
        rest = sent[skip:]
        if rest.startswith(starts[0]) or (starts[1] and rest.startswith(starts[1])):
            number = _parse(rest, region)
            if number is not None and number.country_code == country and phonenumbers.is_valid_number(number):
                return rest
    return None


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdecimal())


def _in_pairs(text: str) -> str:
    """In Ukraine the last four digits are read two by two."""
    return re.sub(r"(\d\d)(\d\d)$", r"\1 \2", text)


def _clean(heard: str) -> str:
    """Without control characters, direction marks, doubled spaces and the wrapping of a SIP address."""
    visible = "".join(" " if c.isspace() else c for c in heard if c.isspace() or c.isprintable())
    uri = _URI.search(visible)
    text = uri.group(1) if uri else visible
    return " ".join(text.split())[:MAX_HEARD].strip()


def _public_number(digits: str, region: str) -> PhoneNumber | None:
    """The first reading of ``digits`` that is a valid number."""
    readings: list[tuple[str, str | None]] = []
    if digits.startswith("+"):
        readings = [(digits, None), (digits[1:], region)]
    else:
        readings = [(digits, region)]
        if digits.startswith("00"):
            readings.append(("+" + digits[2:], None))
        elif digits.startswith("80") and len(digits) == 11:
            readings.append((digits[1:], region))  # the long-distance 8 of old exchanges: 8 067 111 22 33
        elif len(digits) >= 11:
            readings.append(("+" + digits, None))  # carriers often leave the plus away
    for text, seen_from in readings:
        number = _parse(text, seen_from)
        if number is not None and phonenumbers.is_valid_number(number):
            return number
    return None


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
