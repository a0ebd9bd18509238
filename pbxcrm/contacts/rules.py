"""Pure decisions about clients: what a name, a number, an address may look like."""

import re
from collections.abc import Iterable

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import dialable, normalise
from pbxcrm.shared.texts import one_line

EMAIL = re.compile(r"[^\s@<>\"',;]{1,64}@[^\s@<>\"',;]{1,185}\.[^\s@<>\"',;.]{2,}")


def check_name(name: str, field: str = "name") -> str:
    name = one_line(name)
    if not name or len(name) > 200:
        raise Invalid(field, "contacts.name", "Write a name of up to 200 letters.")
    return name


def check_numbers(numbers: Iterable[str], region: str, field: str = "phones") -> list[str]:
    """The numbers in one spelling, without blanks and doubles; raises Invalid for what cannot be dialled."""
    found: list[str] = []
    for typed in numbers:
        if not typed.strip():
            continue
        found.append(check_number(typed, region, field))
    return list(dict.fromkeys(found))


def check_number(typed: str, region: str, field: str = "number") -> str:
    number = normalise(typed, region)
    if number is None or not dialable(number):
        raise Invalid(field, "contacts.number", "“{number}” is not a telephone number.", number=typed.strip()[:40])
    return number


def check_emails(addresses: Iterable[str], field: str = "emails") -> list[str]:
    found: list[str] = []
    for typed in addresses:
        address = typed.strip()
        if not address:
            continue
        if not EMAIL.fullmatch(address):
            raise Invalid(field, "contacts.email", "“{address}” is not an e-mail address.", address=address[:60])
        found.append(address)
    return list(dict.fromkeys(found))
