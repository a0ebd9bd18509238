"""Pure checks: what people and programs enter as the value of a field, and how each kind is stored.

A stored value is JSON whose order is the order of the values, so that an index on it filters and sorts: numbers are whole millionths,
money hundredths, yes and no 1 and 0, dates ``2026-11-28``, moments ``2026-11-28T09:00:00Z``, choices, people and links ids, several and
files lists of ids; everything else is text.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from pbxcrm.fields.models import FieldDefinition, LinkTarget, ValueKind
from pbxcrm.people.directory import Directory
from pbxcrm.shared.alphabet import order_key
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import read_numbers
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.search_keys import folded, search_key
from pbxcrm.shared.texts import one_line

#: A value as it is stored; None for an empty one, which is not stored.
Stored = int | str | list[int] | None
#: A value as it was entered: text from a form, JSON from a program.
Entered = Any

LONGEST = {ValueKind.TEXT: 500, ValueKind.ADDRESS: 500, ValueKind.LONG_TEXT: 10_000, ValueKind.LINK: 2000}
KEY_LENGTH = 100  # letters of a text by which it is compared; PostgreSQL indexes no row above 2.7 kB
MILLION = 10**6
LARGEST_NUMBER = Decimal(10**12)
LARGEST_MONEY = Decimal(10**13)
MOST_FILES = 50
_TEXTS = frozenset({ValueKind.TEXT, ValueKind.LONG_TEXT, ValueKind.ADDRESS, ValueKind.PHONE})
_LISTS = frozenset({ValueKind.SEVERAL, ValueKind.FILE})
_YES, _NO = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"})
_DIGITS = re.compile(r"[0-9]{1,18}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checking:
    """What a check needs to know: the region of numbers, and who there is."""

    region: str
    people: Directory


def place_of(key: str) -> str:
    """The place of an error about a field, and the name of its input in forms."""
    return f"fields.{key}"


def is_text(definition: FieldDefinition) -> bool:
    """Whether the value is a text, with its search key and the key by which it is sorted beside it."""
    return definition.kind in _TEXTS or is_web(definition)


def is_web(definition: FieldDefinition) -> bool:
    """Whether the value is the address of a page."""
    return definition.kind == ValueKind.LINK and definition.target == LinkTarget.WEB


def is_list(definition: FieldDefinition) -> bool:
    """Whether the value is a list of ids."""
    return definition.kind in _LISTS


def filled_percent(
    definitions: Iterable[FieldDefinition], custom: Mapping[str, Any], own: Iterable[object] = ()
) -> int | None:
    """How many per cent of these fields have a value in a row's ``custom``, rounded down; None without fields. ``own``: the values
    of columns that count as well.

    100 means that none is missing: a card with one empty field of two hundred has 99.
    """
    values = [stored_in(custom, each) is not None for each in definitions if not each.formula]  # nobody fills those in
    values += [value not in {None, ""} for value in own]
    return 100 * sum(values) // len(values) if values else None


def text_key(text: str) -> str:
    """By what a text is compared: spellings of one name are equal; a text without letters is compared as it is."""
    return (search_key(text) or folded(text) or text)[:KEY_LENGTH]


def stored_in(custom: Mapping[str, Any], definition: FieldDefinition) -> Stored:
    """The value of the field in a row's ``custom``."""
    found: Stored = custom.get(str(definition.id))
    return found


def as_entered(definition: FieldDefinition, value: Stored) -> Entered:
    """A stored value as somebody would type it, which ``check_value`` turns into the same again."""
    if isinstance(value, int):
        if definition.kind == ValueKind.NUMBER:
            return f"{(Decimal(value) / MILLION).normalize():f}"
        if definition.kind == ValueKind.MONEY:
            return f"{Decimal(value) / 100:.2f}"
    return value


def with_value(custom: Mapping[str, Any], definition: FieldDefinition, value: Stored) -> dict[str, Any]:
    """A copy of ``custom`` in which the field has ``value``."""
    name = str(definition.id)
    found = {key: each for key, each in custom.items() if key not in {name, f"{name}k", f"{name}s"}}
    if value is not None:
        found[name] = value
        if is_text(definition):
            found[f"{name}k"] = text_key(str(value))
            found[f"{name}s"] = order_key(str(value))
    return found


def check_value(definition: FieldDefinition, entered: Entered, was: Stored, checking: Checking) -> Stored:
    """The entered value as it is stored; None for an empty one. ``was``: the stored one, which may stay though it is no longer offered.

    It does not check that a file or a linked row exists. Raises Invalid at the place of the field.
    """
    if entered is None or entered in ("", []) or (isinstance(entered, str) and not entered.strip()):
        return None
    return _CHECKS[ValueKind(definition.kind)](definition, entered, was, checking)


def read_decimal(typed: str) -> Decimal | None:
    """A number as people type it (``12 400,50``); None for what is no number."""
    plain = "".join(typed.split()).replace("\u2212", "-").replace(",", ".")
    try:
        found = Decimal(plain)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def check_moment(value: datetime | str | None, field: str) -> datetime | None:
    """Aware UTC from a datetime, or from ISO 8601 with its offset; None for an empty value. Raises Invalid at ``field``."""
    if value is None or value == "":
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year <= 2200:
        raise Invalid(field, "form.moment", "Choose a date and a time.")
    return found.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    """A moment as it is stored, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_date(typed: str) -> date | None:
    """A date as ISO 8601 writes it; None for another text."""
    try:
        found = date.fromisoformat(typed.strip())
    except ValueError:
        return None
    return found if 1800 <= found.year <= 2200 else None


def _refused(definition: FieldDefinition, code: str, message: str, **params: str | int) -> Invalid:
    return Invalid(place_of(definition.key), f"fields.{code}", message, **params)


def _check_line(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    most = LONGEST[ValueKind(definition.kind)]
    line = one_line(_typed(definition, entered))
    if len(line) > most:
        raise _refused(definition, "too_long", N_("Write at most {most} characters."), most=most)
    return line or None


def _check_long_text(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    most = LONGEST[ValueKind.LONG_TEXT]
    lines = _typed(definition, entered).replace("\r\n", "\n").replace("\r", "\n")
    # Neither PostgreSQL's JSON nor UTF-8 can store NUL and halves of letters; other control characters cannot be seen.
    text = "".join(
        letter for letter in lines if (letter >= " " and not "\ud800" <= letter <= "\udfff") or letter in "\n\t"
    )
    if len(text.strip()) > most:
        raise _refused(definition, "too_long", N_("Write at most {most} characters."), most=most)
    return text.strip() or None


def _typed(definition: FieldDefinition, entered: Entered) -> str:
    if not isinstance(entered, str):
        raise _refused(definition, "text", N_("Write a text."))
    return entered


def _decimal(entered: Entered) -> Decimal | None:
    if isinstance(entered, bool):
        return None
    if isinstance(entered, str):
        return read_decimal(entered)
    return read_decimal(str(entered)) if isinstance(entered, int | float | Decimal) else None


def _check_number(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    found = _decimal(entered)
    if found is None or abs(found) >= LARGEST_NUMBER or found * MILLION % 1:
        raise _refused(definition, "number", N_("Write a number, with at most six digits after the point."))
    return int(found * MILLION)


def _check_money(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    found = _decimal(entered)
    if found is None or abs(found) >= LARGEST_MONEY:
        raise _refused(definition, "money", N_("Write the amount as a number, for example 12400.50."))
    return int(found.quantize(Decimal("0.01")) * 100)


def _check_date(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    found = entered if isinstance(entered, date) else read_date(entered) if isinstance(entered, str) else None
    if found is None:
        raise _refused(definition, "date", N_("Choose a date."))
    return f"{found:%Y-%m-%d}"


def _check_moment(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    known = entered if isinstance(entered, datetime | str) else "?"
    found = check_moment(known, place_of(definition.key))
    return None if found is None else moment_text(found)


def _option(definition: FieldDefinition, entered: Entered, kept: Sequence[int]) -> int:
    """The id of an option, given by its id or its name. A retired one only where the row has it already."""
    ids = {option["id"] for option in definition.options if not option["retired"] or option["id"] in kept}
    if isinstance(entered, int) and not isinstance(entered, bool) and entered in ids:
        return entered
    if isinstance(entered, str):
        text = entered.strip()
        named = [option["id"] for option in definition.options if option["id"] in ids and option["name"] == text]
        if named:
            return int(named[0])
        if _DIGITS.fullmatch(text) and int(text) in ids:
            return int(text)
    raise _refused(definition, "choice", N_("This choice is no longer offered. Choose another one."))


def _check_choice(definition: FieldDefinition, entered: Entered, was: Stored, _: Checking) -> Stored:
    return _option(definition, entered, [was] if isinstance(was, int) else [])


def _check_several(definition: FieldDefinition, entered: Entered, was: Stored, _: Checking) -> Stored:
    kept = was if isinstance(was, list) else []
    each = entered if isinstance(entered, list) else [entered]
    chosen = {_option(definition, one, kept) for one in each if one not in (None, "")}
    return [option["id"] for option in definition.options if option["id"] in chosen] or None


def _check_yes_no(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    text = str(entered).strip().lower()
    if text not in _YES | _NO:
        raise _refused(definition, "yes_no", N_("Choose yes or no."))
    return int(text in _YES)


def _row_id(definition: FieldDefinition, entered: Entered) -> int:
    if isinstance(entered, str) and _DIGITS.fullmatch(entered.strip()):
        entered = int(entered)
    if not isinstance(entered, int) or isinstance(entered, bool) or not 0 < entered <= LARGEST_ID:
        raise _refused(definition, "row", N_("There is no such thing any more. Choose again."))
    return entered


def _check_files(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    each = entered if isinstance(entered, list) else [entered]
    found = list(dict.fromkeys(_row_id(definition, one) for one in each if one not in (None, "")))
    if len(found) > MOST_FILES:
        raise _refused(definition, "files", N_("At most {most} files."), most=MOST_FILES)
    return found or None


def _check_person(definition: FieldDefinition, entered: Entered, was: Stored, checking: Checking) -> Stored:
    """A person's id or login."""
    users = checking.people.users
    by_login = next((user_id for user_id, user in users.items() if user.login == entered), None)
    found = by_login if by_login is not None else _row_id(definition, entered)
    if found != was and (found not in users or not users[found].is_active):
        raise _refused(definition, "person", N_("There is no such person any more. Choose another one."))
    return found


def _check_link(definition: FieldDefinition, entered: Entered, _was: Stored, _: Checking) -> Stored:
    if not is_web(definition):
        return _row_id(definition, entered)
    address = _typed(definition, entered).strip()
    if not _SCHEME.match(address) or re.match(r"[^/?#]+:[0-9]+(?:[/?#]|$)", address):
        address = f"https://{address}"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or one_line(address) != address or " " in address:
        raise _refused(definition, "link", N_("Write the address of a page, for example https://example.com/page."))
    most = LONGEST[ValueKind.LINK]
    if len(address) > most:
        raise _refused(definition, "too_long", N_("Write at most {most} characters."), most=most)
    return address


def _check_phone(definition: FieldDefinition, entered: Entered, _was: Stored, checking: Checking) -> Stored:
    found = read_numbers(_typed(definition, entered), checking.region)
    if len(found) != 1 or found[0].extension or found[0].name or sum(map(str.isdigit, found[0].number)) < 3:
        raise _refused(definition, "phone", N_("Write one telephone number."))
    return found[0].number


_CHECKS: Mapping[ValueKind, Callable[[FieldDefinition, Entered, Stored, Checking], Stored]] = {
    ValueKind.TEXT: _check_line,
    ValueKind.LONG_TEXT: _check_long_text,
    ValueKind.NUMBER: _check_number,
    ValueKind.MONEY: _check_money,
    ValueKind.DATE: _check_date,
    ValueKind.MOMENT: _check_moment,
    ValueKind.CHOICE: _check_choice,
    ValueKind.SEVERAL: _check_several,
    ValueKind.YES_NO: _check_yes_no,
    ValueKind.FILE: _check_files,
    ValueKind.PERSON: _check_person,
    ValueKind.LINK: _check_link,
    ValueKind.PHONE: _check_phone,
    ValueKind.ADDRESS: _check_line,
}
