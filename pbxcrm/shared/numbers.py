"""Telephone numbers: normalised from what a PBX or a person wrote, and formatted for people.

The normal form is E.164 (``+380671112233``). A text that cannot be a public number (an extension, a service number, a SIP name)
is only cleaned, so that the same caller at least has the same text each time.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

#: Numbers up to this many digits are extensions or service numbers, never E.164.
SHORT_DIGITS = 6
MOST_DIGITS = 15  # of a telephone number (E.164)
_MOST_PREFIX = 4  # digits that an office or a carrier may want before a number: 9 for an outside line, 00, 0810
#: Longer than any number; longer texts are cut.
LONGEST_NUMBER = 64
#: Digits without a plus may be a number with country code from this length on.
_WHOLE_DIGITS = 11
#: Only this much of a (possibly hostile) text is read and cached.
LONGEST_READ = 256

#: What PBXs and carriers send instead of a number.
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
#: The region that phonenumbers gives to +888, +870 and other global codes. Without a plus, such digits are a carrier's prefix.
_NO_COUNTRY = "001"
_RUN_OF_DIGITS = re.compile(r"[0-9]+")
_DIGITS = re.compile(r"\+?[0-9]+")
#: Separates a service code or an account from the number: ``*31*…``, ``1234#…``; also a pause in a dial string.
_SERVICE_CODE = re.compile(r"[*#wW,]")
_URI_EXTENSION = re.compile(r";\s*ext=([0-9]{1,8})", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\s().\-\u2010-\u2015/]+")
#: A comma directly before the last digits is a pause before an extension ("…,12"); any other comma separates numbers.
_BETWEEN_NUMBERS = re.compile(
    r"[\n\r|]+|;(?!\s*ext=)|,(?!,*[0-9]{1,6}\s*$)(?<!,,)|\s(?:або|чи|или|or|and|та|и|і)\s", re.IGNORECASE
)
_EXTENSION_BEHIND = re.compile(
    r"(?:[*#]|,+|(?:[\s,;(]|(?<=\d))(?:ext(?:ension)?|доб(?:авочн\w*)?|дод(?:атков\w*)?|внутр?(?:енн\w*|ішн\w*)?|вн|x|х)\.?[\s:=№]*)"
    r"([0-9]{1,6})\s*\)?\s*$",
    re.IGNORECASE,
)
#: Digits with the punctuation of a number, not part of a word.
_RUN = re.compile(r"(?<!\w)\+?\(?\d(?:[\d\s().\-\u2010-\u2015/]*\d)?\)?(?!\w)")


def dialable(number: str) -> bool:
    """Whether the PBX may dial ``number``: 1 to 32 characters of ``+ * # 0-9`` and nothing else."""
    return _DIALABLE.fullmatch(number) is not None


def too_long(number: str) -> bool:
    """Whether digits without a break are more than those of a number with prefixes, as of two numbers without a space between."""
    most = MOST_DIGITS + (0 if number.startswith("+") else _MOST_PREFIX)
    return any(len(run) > most for run in _RUN_OF_DIGITS.findall(number))


def normalise(heard: str | None, region: str) -> str | None:
    """E.164 if ``heard`` is a valid public number as dialled in ``region`` (ISO 3166, "UA"), else the cleaned text.

    None where there is no number: empty, ``<unknown>``, ``anonymous`` and the like.
    """
    return _normalise((heard or "")[:LONGEST_READ], region.upper())


@lru_cache(maxsize=20_000)
def _normalise(heard: str, region: str) -> str | None:
    cleaned = _clean(heard)
    if not cleaned or cleaned.partition("@")[0].strip("<>\"'").replace(" ", "").casefold() in _NO_NUMBER:
        return None
    digits = _PUNCTUATION.sub("", cleaned)
    if not re.fullmatch(r"\+?\d+", digits):
        return _number_among_words(cleaned, region)
    digits = "".join(c if c == "+" else str(unicodedata.digit(c)) for c in digits)
    if not digits.strip("+0"):
        return None  # some carriers send zeros for a withheld number
    if len(digits.lstrip("+")) <= SHORT_DIGITS:
        return digits
    number = _public_number(digits, region)
    return digits if number is None else phonenumbers.format_number(number, PhoneNumberFormat.E164)


def is_beginning(number: str, region: str) -> bool:
    """Whether a normal form is too short for a number of any country, and no service number or extension: ``+38067``, ``38067``.

    A country code of one or two digits may begin a service number, so only a longer one tells without a plus.
    """
    country = str(phonenumbers.country_code_for_region(region.upper()))
    without_plus = len(country) > 2 and number.startswith(country)  # 380, the code alone, may be an extension
    return len(number.lstrip("+")) <= SHORT_DIGITS and (number.startswith("+") or (without_plus and number != country))


@lru_cache(maxsize=20_000)
def format_for_people(number: str) -> str:
    """``+380671112233`` as ``+380 67 111 22 33``; a text that is not E.164 is returned unchanged."""
    parsed = _parse(number, None)
    if parsed is None:
        return number
    text = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
    return _in_pairs(text) if parsed.country_code == 380 else text


@lru_cache(maxsize=20_000)
def format_line(dialled: str) -> str:
    """The number that a client dialled, for people. Many providers send E.164 without the plus, so it is tried with one."""
    if dialled.isdecimal() and len(dialled) >= _WHOLE_DIGITS:
        whole = _parse(f"+{dialled}", None)
        if whole is not None and phonenumbers.is_valid_number(whole):
            return format_for_people(f"+{dialled}")
    return format_for_people(dialled)


@lru_cache(maxsize=20_000)
def national(number: str) -> str:
    """``+380671112233`` in national format, ``067 111 22 33``; a text that is not E.164 is returned unchanged."""
    parsed = _parse(number, None)
    if parsed is None:
        return number
    text = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return _in_pairs(text) if parsed.country_code == 380 else text


def number_called(dialled: Iterable[str], sent: str | None, region: str) -> str | None:
    """The client's number of an outbound call, not normalised: ``0503330077``, ``+380503330077``.

    ``dialled``: what a person or the CRM dialled, nearest to them first. ``sent``: what the trunk was given. Neither is enough alone:
    carriers and accounts need prefixes (``8888…``, ``1234#…``, ``*31*…``, ``010*…``), and an office may dial 9 for an outside line.
    A dialled number is used if ``sent`` ends with its national significant digits.
    """
    return _number_called(
        tuple(text[:LONGEST_NUMBER] for text in dialled), sent and sent[:LONGEST_NUMBER], region.upper()
    )


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
    """``dialled`` without service codes (``*31*``), then also without the first one to three digits (an outside-line prefix)."""
    rest = _SERVICE_CODE.split(dialled)[-1]
    if _DIGITS.fullmatch(rest):
        yield rest
        yield from (rest[skip:] for skip in (1, 2, 3) if len(rest) > SHORT_DIGITS + skip and rest[0] != "+")


def _own_country(sent: str, region: str) -> str | None:
    """A valid number of our own country behind a carrier's prefix of up to eight digits, the longest such; None without one."""
    country = phonenumbers.country_code_for_region(region)
    starts = [str(country), phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""]
    for skip in range(1, min(9, len(sent) - SHORT_DIGITS)):
        rest = sent[skip:]
        if rest.startswith(starts[0]) or (starts[1] and rest.startswith(starts[1])):
            number = _parse(rest, region)
            if number is not None and number.country_code == country and phonenumbers.is_valid_number(number):
                return rest
    return None


@dataclass(frozen=True, slots=True)
class Written:
    """A number found in a text. ``number`` is E.164 if it can be; ``extension`` is dialled after the answer; ``name`` is the other text."""

    number: str
    extension: str = ""
    name: str = ""


def read_numbers(text: str, region: str) -> list[Written]:
    """Every number in a text that people typed or pasted, in order: ``Ivan 067 111-22-33 ext. 12, 0501112233``, ``tel:+380671112233``.

    Parts without a number are left out. A number that is not public (an extension, a typing error) is kept as digits.
    """
    return [each for part in _parts(text[:LONGEST_READ]) for each in _read_part(part, region.upper())]


def is_mobile(number: str) -> bool:
    """Whether a number in E.164 is one of a mobile network. In some countries (the USA) numbers do not tell; these are not."""
    return _type_of(number) == phonenumbers.PhoneNumberType.MOBILE


def is_fixed(number: str) -> bool:
    """Whether a number in E.164 is known to be one of a fixed network."""
    return _type_of(number) == phonenumbers.PhoneNumberType.FIXED_LINE


def _type_of(number: str) -> int | None:
    if not number.startswith("+"):
        return None
    try:
        return phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


def is_several(text: str, region: str) -> bool:
    """Whether a text that stands for one number holds more than one: ``0671112233 0501234567``, ``0671112233 101``."""
    if len({each.number for each in read_numbers(text, region)}) > 1:
        return True
    if _is_public(text, region):
        return False
    words = text[:LONGEST_NUMBER].replace("/", " ").split()
    return "/" in text or any(_is_public(" ".join(words[:count]), region) for count in range(1, len(words)))


def _is_public(text: str, region: str) -> bool:
    return (normalise(text, region) or "").startswith("+")


def number_in_query(text: str) -> str:
    """The part of a search text that may be a number: without ``tel:``, an extension, or a name beside seven digits or more.

    ``text`` is returned unchanged if it has none of these.
    """
    uri = _URI.search(text)
    text = unquote(uri[1]) if uri else text
    behind = _EXTENSION_BEHIND.search(text)
    if behind is not None and len(_digits(text[: behind.start()])) > SHORT_DIGITS:
        text = text[: behind.start()]
    if any(c.isalpha() for c in text):
        longest = max((run[0] for run in _RUN.finditer(text)), key=len, default="")
        text = longest if len(_digits(longest)) > SHORT_DIGITS else text
    return text


def _parts(text: str) -> Iterator[str]:
    for line in _BETWEEN_NUMBERS.split(text):
        uri = _URI.search(line)
        if uri is None:
            yield "".join(" " if c.isspace() else c for c in line if c.isspace() or c.isprintable())
            continue
        extension = _URI_EXTENSION.search(line)
        yield unquote(uri[1]) + (f" ext. {extension[1]}" if extension else "")


def _read_part(part: str, region: str) -> list[Written]:
    """The numbers of a part without separators: usually one; several where only spaces separate whole numbers."""
    behind = _EXTENSION_BEHIND.search(part)
    extension = behind[1] if behind else ""
    before = part[: behind.start()] if behind else part
    runs = list(_RUN.finditer(before))
    if not runs:
        return []
    name = " ".join(_RUN.sub(" ", before).split()).strip("<>()[]\"'«»“”,.:;-–—*#+ ")
    found = [number for run in runs for number in _whole_numbers(run[0], region)]
    public = [number for number in found if number.startswith("+")]
    if public and _SERVICE_CODE.search(before):  # an account before the number: 1234#0671112233
        found = public
    if not public and any(c in "*#" for c in part):  # 101*12 is a code, not a number with an extension
        return [Written("".join(part.split()))]
    return [Written(number, extension if number == found[-1] else "", name) for number in found]


def _whole_numbers(run: str, region: str) -> list[str]:
    """One number, or several that only spaces or a slash separate."""
    digits = _ascii_digits(_PUNCTUATION.sub("", run))
    number = _public_number(digits, region) if len(digits.lstrip("+")) > SHORT_DIGITS else None
    if number is not None:
        return [phonenumbers.format_number(number, PhoneNumberFormat.E164)]
    words = run.replace("/", " ").split()
    for count in range(1, len(words)):
        first = _ascii_digits(_PUNCTUATION.sub("", "".join(words[:count])))
        whole = _public_number(first, region) if len(first.lstrip("+")) > SHORT_DIGITS else None
        if whole is None:
            continue
        rest = _whole_numbers(" ".join(words[count:]), region)
        if all(each.startswith("+") for each in rest):
            return [phonenumbers.format_number(whole, PhoneNumberFormat.E164), *rest]
    return [digits]


def _number_among_words(cleaned: str, region: str) -> str | None:
    """The only public number in a text with a name, an account or an extension; else the text. None without letters or digits."""
    found = {each.number for each in read_numbers(cleaned, region)}
    public = {number for number in found if number.startswith("+")}
    if not any(c.isalnum() or c in "*#" for c in cleaned):
        return None
    return public.pop() if len(public) == 1 and len(found) == 1 else cleaned


def _ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in text)


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdecimal())


def _in_pairs(text: str) -> str:
    """Group the last four digits in pairs, as is usual in Ukraine."""
    return re.sub(r"(\d\d)(\d\d)$", r"\1 \2", text)


def _clean(heard: str) -> str:
    """``heard`` without control characters, direction marks, repeated spaces and the wrapping of a SIP address."""
    visible = "".join(" " if c.isspace() else c for c in heard if c.isspace() or c.isprintable())
    uri = _URI.search(visible)
    text = uri.group(1) if uri else visible
    return " ".join(text.split())[:LONGEST_NUMBER].strip()


def _public_number(digits: str, region: str) -> PhoneNumber | None:
    """The first interpretation of ``digits`` that is a valid number; None without one."""
    readings: list[tuple[str, str | None]] = []
    if digits.startswith("+"):
        readings = [(digits, None)]
        if not digits.startswith(f"+{phonenumbers.country_code_for_region(region)}"):
            readings.append(
                (digits[1:], region)
            )  # a plus too much; behind one's own country code it is a number cut short
    else:
        readings = [(digits, region)]
        if digits.startswith("00"):
            readings.append(("+" + digits[2:], None))
        elif digits.startswith("80") and len(digits) == 11:
            readings.append((digits[1:], region))  # the long-distance 8 of old exchanges: 8 067 111 22 33
        elif len(digits) >= 11:
            readings.append(("+" + digits, None))  # carriers often omit the plus
    for text, seen_from in readings:
        number = _parse(text, seen_from)
        if number is None or not phonenumbers.is_valid_number(number):
            continue
        if digits.startswith(("+", "00")) or phonenumbers.region_code_for_number(number) != _NO_COUNTRY:
            return number
    return None


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
