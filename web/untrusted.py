"""Parsers of text from outside, one per kind: addresses, whole numbers, character sets.

Each returns a value or None for any input and never raises; ``tests/unit/web/test_untrusted.py`` fuzzes them.
"""

import codecs
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from pbxcrm.shared.columns import LARGEST_ID

LARGEST = 2**31 - 1

#: Character sets in which browsers and old programs send forms. Codecs of Python's own (punycode, unicode_escape) are not text.
_CHARSETS = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-5", "iso8859-15", "cp1250", "cp1251", "cp1252", "koi8-r", "koi8-u"}
)
_IN_ADDRESSES = ":/%#?=@[]!$&'()*+,;~"


def split_address(text: str) -> SplitResult | None:
    """The parts of a URL; None if it cannot be parsed."""
    try:
        return urlsplit(text)
    except ValueError:  # a bracket that is not closed, a letter that normalises to a slash
        return None


def local_path(target: str | None, *, but: str = "") -> str:
    """``target`` if it is a path of this site, else ``/``: log-in never redirects to another site.

    The result is ASCII, so it can stand in a header. ``but``: a path that is never returned.
    """
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(letter) < 0x20 or letter == "\\" for letter in target):
        return "/"
    split = split_address(target)
    if split is None or split.scheme or split.netloc or (but and split.path == but):
        return "/"
    return ascii_address(target)


def ascii_address(text: str) -> str:
    """A URL for a header: letters beyond ASCII are percent-encoded, the rest stays."""
    return quote(text.encode("utf-8", "replace"), safe=_IN_ADDRESSES)


def query_of(text: str) -> dict[str, list[str]]:
    """The query string of a URL; empty if it has none or cannot be parsed."""
    split = split_address(text)
    try:
        return parse_qs(split.query, max_num_fields=200) if split is not None else {}
    except ValueError:
        return {}


def whole_number(text: str, most: int = LARGEST) -> int | None:
    """``text`` as a number from 0 to ``most``, in ASCII digits only; None for anything else, of any length."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) + 5:
        return None
    number = int(text)
    return number if number <= most else None


def rows_seen(text: str, most: int) -> list[tuple[int, int]] | None:
    """``12:3,14:1`` as ids with the versions that were seen; None for anything else, or for more than ``most``."""
    parts = text.split(",") if text else []
    if len(parts) > most:
        return None
    found = []
    for part in parts:
        row_id, _colon, version = part.partition(":")
        numbers = whole_number(row_id, LARGEST_ID), whole_number(version)
        if numbers[0] is None or numbers[1] is None:
            return None
        found.append((numbers[0], numbers[1]))
    return found


def known_charset(name: str) -> bool:
    """Whether a form may be written in this character set."""
    try:
        return codecs.lookup(name).name in _CHARSETS
    except (LookupError, ValueError):
        return False
