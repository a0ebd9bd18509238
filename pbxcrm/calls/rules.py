"""Pure decisions about calls: its line, the caller's name, the title of its deal."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from pbxcrm.calls.facts import CallState, Outcome
from pbxcrm.calls.models import Line
from pbxcrm.contacts.models import Contact
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.texts import one_line

_LONGEST_NAME = longest(Contact.name)  # it may become a client's
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def line_of(state: CallState, lines: Iterable[Line]) -> Line:
    """The first line all of whose globs match; else a line with default rules, named after queue, DID, trunk or PBX."""
    for line in lines:
        asked = ((line.pbx, state.pbx), (line.trunk, state.trunk), (line.did, state.did), (line.queue, state.queue))
        if all(fnmatchcase(value or "", glob) for glob, value in asked):
            return line
    return _no_line(state.queue or state.did or state.trunk or state.pbx)


@lru_cache(maxsize=1000)
def _no_line(name: str) -> Line:
    """Cached per name: every fact asks several times, and making a row costs more than the decision."""
    return Line(name=name)


def is_better_ending(found: Outcome, known: Outcome) -> bool:
    """Whether a found ending may replace the known one: only if that is *unknown*.

    An ending that is known for certain has had its effects, and stays.
    """
    return known is Outcome.UNKNOWN and found not in {Outcome.UNKNOWN, Outcome.OPEN}


def clean_caller_name(heard: str | None) -> str | None:
    """A caller's name (hostile input) in one line, cut to the length of a contact's name; None if empty."""
    return (one_line(heard)[:_LONGEST_NAME] or None) if heard is not None else None


def clean_path(heard: str | None) -> str | None:
    """A file name as reported, without control characters. Spaces stay: another name would not be found on disk."""
    return _CONTROL.sub("", heard) or None if heard is not None else None


def named_as(heard_name: str | None) -> str | None:
    """The caller's name, or None if it holds no letter (the phone sends its number as the name)."""
    return heard_name if heard_name and any(letter.isalpha() for letter in heard_name) else None


#: The title of a deal whose client withheld the number; pages translate it.
NO_NUMBER = "Number withheld"


def title_of_new_deal(contact_name: str | None, heard_name: str | None, number: str | None) -> str:
    """The title of an automatic deal: name, else number, else ``NO_NUMBER``."""
    named = contact_name or named_as(heard_name)
    return named or (format_for_people(number) if number else NO_NUMBER)
