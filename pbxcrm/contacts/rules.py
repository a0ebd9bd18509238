"""Pure decisions about clients: what a name, a number, an address may look like."""

import re
from collections.abc import Iterable

from pbxcrm.contacts.models import Contact
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line
from pbxcrm.shared.numbers import Written, read_numbers

LEAST_DIGITS, MOST_DIGITS = 3, 15  # the most that E.164 allows
EMAIL = re.compile(r"[^\s@<>\"',;]{1,64}@[^\s@<>\"',;]{1,185}\.[^\s@<>\"',;.]{2,}")


def check_name(name: str, field: str = "name") -> str:
    """The name in one line. Raises Invalid at ``field``."""
    return check_line(name, Contact.name, field, "contacts.name", "Write a name of up to {most} characters.")


def check_numbers(numbers: Iterable[str], region: str, field: str = "phones") -> list[Written]:
    """The numbers in one spelling, with their extensions and names, without blanks and doubles; a text may hold several.

    Raises Invalid for what cannot be dialled.
    """
    found: dict[str, Written] = {}
    for typed in numbers:
        if typed.strip():
            for one in _check_written(typed, region, field):
                found.setdefault(one.number, one)
    return list(found.values())


def check_number(typed: str, region: str, field: str = "number") -> str:
    """The one number in ``typed``, in one spelling; raises Invalid where there is none or where there are several."""
    found = _check_written(typed, region, field)
    if len({one.number for one in found}) > 1:
        raise Invalid(
            field, "contacts.one_number", "“{number}” is more than one number.", number=typed.strip()[:LONGEST_REPEATED]
        )
    return found[0].number


def _check_written(typed: str, region: str, field: str) -> list[Written]:
    found = read_numbers(typed, region)
    if not found or not all(_is_number(one.number) for one in found):
        raise Invalid(
            field, "contacts.number", "“{number}” is not a telephone number.", number=typed.strip()[:LONGEST_REPEATED]
        )
    return found


def _is_number(number: str) -> bool:
    """Whether it can be somebody's number: public, or of a few digits in our own house. No code, not only zeros, not two in one."""
    digits = number.lstrip("+")
    return digits.isdecimal() and LEAST_DIGITS <= len(digits) <= MOST_DIGITS and digits.strip("0") != ""


def check_emails(addresses: Iterable[str], field: str = "emails") -> list[str]:
    """Addresses without blanks, each once. Raises Invalid at ``emails``."""
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
