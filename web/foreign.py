"""What comes from outside as text, parsed in one place for each kind: addresses, whole numbers, character sets.

Each answers with a value or with None, whatever it is given; ``tests/unit/web/test_foreign.py`` throws everything at them.
"""

import codecs
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

LARGEST = 2**31 - 1
#: What browsers send forms in, and what old programs may. Codecs of Python's own (punycode, unicode_escape) are not text.
_CHARSETS = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-5", "iso8859-15", "cp1250", "cp1251", "cp1252", "koi8-r", "koi8-u"}
)
_IN_ADDRESSES = ":/%#?=@[]!$&'()*+,;~"


def split_address(text: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        return urlsplit(text)
    except ValueError:  # a bracket that is not closed, a letter that normalises to a slash
        return None


def local_path(target: str | None, *, but: str = "") -> str:
    """``target`` where it is a path of ours, else the front page: nobody is sent to another site after logging in.

    It comes back in ASCII, as headers want it. ``but`` is a path nobody is sent to.
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
    """An address as headers want it: letters beyond ASCII are percent-encoded, the rest stays."""
    return quote(text.encode("utf-8", "replace"), safe=_IN_ADDRESSES)


def query_of(text: str) -> dict[str, list[str]]:
    """The query of an address; empty where there is none or it is none."""
    split = split_address(text)
    try:
        return parse_qs(split.query, max_num_fields=200) if split is not None else {}
    except ValueError:
        return {}


def whole_number(text: str, most: int = LARGEST) -> int | None:
    """``text`` as a number from 0 to ``most``, written in ASCII digits alone; None for anything else, however long."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) + 5:
        return None
    number = int(text)
    return number if number <= most else None


def known_charset(name: str) -> bool:
    """Whether a form may be written in this character set."""
    try:
        return codecs.lookup(name).name in _CHARSETS
    except (LookupError, ValueError):
        return False
