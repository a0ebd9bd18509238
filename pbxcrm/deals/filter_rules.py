"""Reads the filters of deals from the names and values of an address. What is no filter is an error, never "all deals"."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pbxcrm.deals.filters import LAMPS, STATUSES, DealFilter
from pbxcrm.deals.rules import check_amount
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, LONGEST_SEARCH

MOST_DAYS = 36_500
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads, and when: "mine" and "for a week" depend on it."""

    user_id: int
    now: datetime


#: Values for ``DealFilter``, by the names of its attributes.
Values = Mapping[str, Any]
Reader = Callable[[str, str, Reading], Values]


def read_filter(asked: Iterable[tuple[str, str]], at: Reading) -> DealFilter:
    """The filter that an address asks for by ``(name, value)``; empty values ask for nothing. Raises Invalid at the name."""
    found = DealFilter()
    for name, value in asked:
        reader = READERS.get(name)
        if reader is None:
            raise Invalid(
                name[:LONGEST_REPEATED],
                "deals.no_filter",
                "There is no filter “{name}”.",
                name=name[:LONGEST_REPEATED],
            )
        text = value.replace("\x00", "").strip()[:LONGEST_SEARCH]
        if text:
            found = replace(found, **reader(name, text, at))
    return found


def _text(attribute: str) -> Reader:
    return lambda _name, text, _at: {attribute: text}


def _one_of(attribute: str, known: tuple[str, ...]) -> Reader:
    def read(name: str, text: str, _at: Reading) -> Values:
        if text not in known:
            raise _wrong(name, text)
        return {attribute: text}

    return read


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) or int(text) > most:
        raise _wrong(name, text)
    return int(text)


def _who(name: str, text: str, _at: Reading) -> Values:
    if text == NOBODY:
        return {"nobodys": True, "responsible_id": None}
    return {"nobodys": False, "responsible_id": _number(name, text, LARGEST_ID)}


def _mine(_name: str, _text: str, at: Reading) -> Values:
    return {"nobodys": False, "responsible_id": at.user_id}


def _amount(attribute: str) -> Reader:
    def read(name: str, text: str, _at: Reading) -> Values:
        try:
            return {attribute: check_amount(text)}
        except Invalid as error:
            error.field = name
            raise

    return read


def _days(attribute: str) -> Reader:
    """Days in the stage. At least seven means: entered at the latest seven days ago."""

    def read(name: str, text: str, at: Reading) -> Values:
        return {attribute: at.now - timedelta(days=_number(name, text, MOST_DAYS))}

    return read


def _id(attribute: str) -> Reader:
    return lambda name, text, _at: {attribute: _number(name, text, LARGEST_ID)}


def _wrong(name: str, text: str) -> Invalid:
    return Invalid(
        name,
        "deals.filter_value",
        "“{value}” is no value of the filter “{name}”.",
        value=text[:LONGEST_REPEATED],
        name=name,
    )


#: The names in an address, each with its reader. A chip of the board may have several (from and to).
READERS: Mapping[str, Reader] = {
    "q": _text("text"),
    "mine": _mine,
    "who": _who,
    "team": _text("team"),
    "source": _text("source"),
    "tag": _text("tag"),
    "amount.min": _amount("amount_min"),
    "amount.max": _amount("amount_max"),
    "age.min": _days("entered_until"),
    "age.max": _days("entered_since"),
    "lamp": _one_of("lamp", LAMPS),
    "no_task": lambda _name, _text, _at: {"no_task": True},
    "status": _one_of("status", STATUSES),
    "stage": _text("stage"),
    "contact": _id("contact_id"),
    "company": _id("company_id"),
}
