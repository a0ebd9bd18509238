"""The order of an alphabet: a key of a text whose order, letter by letter, is that in which a reader looks for it in a list.

Digits stand before Latin letters and these before Cyrillic ones. The Cyrillic letters stand in one order that is that of Ukrainian and
of Russian: ґ after г, є after е, і and ї after и, й behind them, ь between ы and э (in Ukrainian between щ and ю), with letters of
their neighbours at their places. Case, quotes, apostrophes and accents do not count; only between texts that are equal otherwise those
without accents stand first (``Елена`` before ``Ёлена``). What stands between two words counts as one space, which is before all letters:
``Ян Чуб`` before ``Яна``.

Both databases compare keys letter by code point, so they need no collation of their own, and SQLite has none.
"""

import re
import unicodedata
from functools import lru_cache

LONGEST = 100  # letters that count; with the accents behind them twice as many stand in a key
_ALPHABET = "аәбвгґғдђеєжзиіїйјкқлљмнңњоөпрстћуўұүфхһцчџшщъыьэюя"
_PLACES = {ord(letter): chr(ord("а") + place) for place, letter in enumerate(_ALPHABET)}
_PLAIN = re.compile(f"[0-9a-z{_ALPHABET} ]*")
_ALIKE = str.maketrans({
    "ё": "е", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŋ": "n", "ı": "i",
    **dict.fromkeys("'’ʼ`´‘", ""),
})  # fmt: skip
_BEHIND = "\t"  # before a space, so that a short text stands before one that goes on


@lru_cache(maxsize=5_000)
def order_key(text: str) -> str:
    """The key by which ``text`` is sorted; empty for an empty one. No longer than twice ``LONGEST`` and one."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    if _PLAIN.fullmatch(plain):
        return plain[:LONGEST].translate(_PLACES)
    letters = " ".join("".join(map(_letters, unicodedata.normalize("NFC", plain).translate(_ALIKE))).split())
    return letters[:LONGEST].translate(_PLACES) + _BEHIND + plain[:LONGEST]


def _letters(letter: str) -> str:
    """A letter without its accents; a space for what is none; nothing for marks that nobody sees."""
    if letter in _ALPHABET or letter.isspace():
        return letter
    bare = unicodedata.normalize("NFD", letter)[0]
    kind = unicodedata.category(bare)
    if kind[0] in "LNM":
        return "" if kind == "Mn" else bare
    return "" if kind == "Cf" else " "
