"""Checks of clients' names, numbers and e-mail addresses."""

import re
from collections.abc import Iterable

from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line, longest
from pbxcrm.shared.numbers import MOST_DIGITS, Written, is_beginning, is_several, normalise, read_numbers

LEAST_DIGITS = 3
MOST_IN_RANGE = 100_000
LANGUAGES = ("", "uk", "ru", "en")
EMAIL = re.compile(r"[^\s@<>\"',;]{1,64}@[^\s@<>\"',;]{1,185}\.[^\s@<>\"',;.]{2,}")


def check_language(code: str, field: str = "language") -> str:
    """The language that a client reads; empty: not known. Raises Invalid."""
    if code not in LANGUAGES:
        raise Invalid(field, "contacts.language", "Choose a language.").among(LANGUAGES)
    return code


def check_name(name: str, field: str = "name") -> str:
    """The name in one line. Raises Invalid at ``field``."""
    return check_line(name, Contact.name, field, "contacts.name", "Write a name of up to {most} characters.")


def check_numbers(numbers: Iterable[str], region: str, field: str = "phones") -> list[Written]:
    """The numbers in normal form with extensions and names, without empty ones and duplicates; one text may hold several.

    Raises Invalid for text that is not a telephone number, and for a longer text beside a number than ``Phone.label`` holds.
    """
    found: dict[str, Written] = {}
    for typed in numbers:
        if typed.strip():
            for one in _check_written(typed, region, field):
                if len(one.name) > longest(Phone.label):
                    raise Invalid(
                        field,
                        "contacts.label",
                        "What is written beside a number may have up to {most} characters: “{text}”.",
                        most=longest(Phone.label),
                        text=one.name[:LONGEST_REPEATED],
                    )
                found.setdefault(one.number, one)
    return list(found.values())


def check_number(typed: str, region: str, field: str = "number") -> str:
    """The number in ``typed``, in normal form; raises Invalid if there is none or more than one."""
    found = _check_written(typed, region, field)
    if len({one.number for one in found}) > 1:
        raise _not_one(typed, field)
    return found[0].number


def check_whole_number(typed: str, region: str, field: str = "number") -> str:
    """``check_number`` for a list of numbers, where no beginning of a number (``+38067``, ``+38067*``) matches a call. Raises Invalid."""
    number = check_number(typed, region, field)
    if typed.rstrip().endswith("*") or is_beginning(number, region):
        raise Invalid(
            field,
            "numbers.not_whole",
            "“{number}” is only the beginning of a number and matches no call. Write the whole number; many at once are a range, which "
            "an administrator puts on this list.",
            number=typed.strip()[:LONGEST_REPEATED],
        )
    return number


def check_range(first: str, last: str, region: str) -> tuple[str, str]:
    """The first and the last number of a range in normal form. Raises Invalid at ``first`` or ``last``.

    They are of one length, as all numbers of a branch or of a call centre are, and hold at most ``MOST_IN_RANGE`` numbers.
    """
    low, high = check_number(first, region, "first"), check_number(last, region, "last")
    if len(low) != len(high) or not (low[1:].isdigit() and high[1:].isdigit()):
        raise Invalid("last", "numbers.lengths", "The first and the last number must have the same number of digits.")
    if high < low:
        raise Invalid("last", "numbers.backwards", "The last number is smaller than the first.")
    if int(high.lstrip("+")) - int(low.lstrip("+")) >= MOST_IN_RANGE:
        raise Invalid("last", "numbers.too_many", "A range may hold up to {most} numbers.", most=MOST_IN_RANGE)
    return low, high


def check_asked_number(asked: str, region: str, field: str = "client_number") -> str:
    """The number by which rows are looked for, in the form in which they have it; raises Invalid if there is none or more than one.

    More is a number here than where one is typed for a client: calls also have the name of a SIP account, a service number of two
    digits, a feature code.
    """
    found = normalise(asked, region)
    if found is None:
        raise _no_number(asked, field)
    if is_several(asked, region):
        raise _not_one(asked, field)
    return found


def _not_one(typed: str, field: str) -> Invalid:
    return Invalid(
        field,
        "contacts.one_number",
        "“{number}” is more than one number. Write one here; a client may have several.",
        number=typed.strip()[:LONGEST_REPEATED],
    )


def _no_number(typed: str, field: str) -> Invalid:
    return Invalid(
        field, "contacts.number", "“{number}” is not a telephone number.", number=typed.strip()[:LONGEST_REPEATED]
    )


def _check_written(typed: str, region: str, field: str) -> list[Written]:
    found = read_numbers(typed, region)
    if any(len(one.number.lstrip("+")) > MOST_DIGITS and one.number.lstrip("+").isdecimal() for one in found):
        raise Invalid(
            field,
            "numbers.too_long",
            "“{number}” is too long: a telephone number has at most {most} digits.",
            number=typed.strip()[:LONGEST_REPEATED],
            most=MOST_DIGITS,
        )
    if not found or not all(_is_number(one.number) for one in found):
        raise _no_number(typed, field)
    return found


def _is_number(number: str) -> bool:
    """Whether it can be somebody's number, public or internal: 3 to 15 digits, not only zeros, and no feature code."""
    digits = number.lstrip("+")
    return digits.isdecimal() and LEAST_DIGITS <= len(digits) <= MOST_DIGITS and digits.strip("0") != ""


def check_emails(addresses: Iterable[str], field: str = "emails") -> list[str]:
    """The addresses without spaces and duplicates. Raises Invalid at ``field``."""
    found: list[str] = []
    for typed in addresses:
        address = typed.strip()
        if not address:
            continue
        if not EMAIL.fullmatch(address):
            raise Invalid(
                field, "contacts.email", "“{address}” is not an e-mail address.", address=address[:LONGEST_REPEATED]
            )
        found.append(address)
    return list(dict.fromkeys(found))
