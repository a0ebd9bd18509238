"""Search keys: all spellings of a name or word have the same key, by which they are compared.

The key is in Latin letters, so that ``Boiko`` finds ``Бойко`` and ``Виктория`` finds ``Вікторія``. Letters that Ukrainian, Russian
and English use for one sound become one letter; soft signs and apostrophes are removed and doubled letters become one. Each letter
is replaced without looking at its neighbours, so that the key of a part of a name is a part of the name's key. The exception is
``ch``: a ``c`` at the end of an unfinished word (``searc``) is searched both ways. Names whose letters differ between the two
languages (``Андрій``, ``Андрей``) keep different keys and are searched both ways, too.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice, product

KEY_MAX = 400  # letters; an index of PostgreSQL takes no row above 2.7 kB
LONGEST_WORD = 40
SHORTEST_WORD = 3  # letters, as typed
_LONG_ENOUGH = 5  # letters of a key that has other spellings
WAYS = 8  # most combinations that are tried when several words have other spellings
_APOSTROPHES = "\u2019\u02bc`\u00b4\u2018'"
_ALIKE = str.maketrans({**dict.fromkeys(_APOSTROPHES, "'"), "\u0451": "\u0435"})
_LATIN = str.maketrans({
    "а": "a", "б": "b", "в": "v", "г": "h", "ґ": "h", "д": "d", "е": "e", "є": "ie", "ж": "zh", "з": "z", "и": "i", "і": "i",
    "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u",
    "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "i", "ь": "", "э": "e", "ю": "iu",
    "я": "ia", "ў": "u", "'": "", "g": "h", "y": "i", "j": "i", "w": "v", "x": "ks", "q": "k",
})  # fmt: skip
_HARD_C = re.compile("c(?!h)")
_DOUBLED = re.compile(r"([a-z])\1")  # applied once: no name has four equal letters in a row
# The same keys of the keyboard with each layout.
_KEYS = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
_RUSSIAN = "йцукенгшщзхъфывапролджэячсмитьбюё"
_UKRAINIAN = "йцукенгшщзхїфівапролджєячсмитьбюґ"
_TO_RUSSIAN, _TO_UKRAINIAN = str.maketrans(_KEYS, _RUSSIAN), str.maketrans(_KEYS, _UKRAINIAN)
_TO_LATIN: dict[int, int | str] = {**str.maketrans(_RUSSIAN, _KEYS), **str.maketrans(_UKRAINIAN, _KEYS), ord("ё"): "`"}


@lru_cache(maxsize=5_000)
def folded(text: str) -> str:
    """The form in which names are compared for equality: casefolded, NFKC, single spaces, one apostrophe, ``ё`` as ``е``."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_ALIKE)
    return " ".join(plain.split())[:KEY_MAX]


@lru_cache(maxsize=5_000)
def search_key(text: str) -> str:
    """The search key of ``text``, at most ``KEY_MAX`` letters; empty where nothing is left to search for."""
    return _key(folded(text))


def readings(text: str) -> list[list[str]]:
    """Lists of words to search for: as typed, then as typed with each other keyboard layout; without duplicates and empty lists.

    ``,jqrj`` is ``Бойко`` with the English layout on, ``Рщеуд`` is ``Hotel`` with a Cyrillic one.
    """
    return _different([way for reading in _typed(text) for way in _ways(reading.split())])


def word_readings(text: str) -> list[list[str]]:
    """The same as ``readings`` for texts that are indexed by ``words_of``."""
    return _different([sorted(way) for reading in _typed(text) for way in _ways(_words_in(reading))])


def _typed(text: str) -> list[str]:
    """The text as typed, then as if typed with each other keyboard layout."""
    plain = folded(text)
    bare = " ".join(word.rstrip(",.;:") or word for word in plain.split())
    return [bare, *(plain.translate(layout) for layout in (_TO_UKRAINIAN, _TO_RUSSIAN, _TO_LATIN))]


def _different(readings: list[list[str]]) -> list[list[str]]:
    found: list[list[str]] = []
    for reading in readings:
        words = list(dict.fromkeys(reading))
        if words and words not in found:
            found.append(words)
    return found


def words_of(text: str) -> set[str]:
    """The keys of the words of a longer text, for finding notes: words of three letters and more, without punctuation."""
    return {key[:LONGEST_WORD] for word in _words_in(text) if (key := _key(word))}


def _words_in(text: str) -> list[str]:
    """Folded words of ``SHORTEST_WORD`` letters and more."""
    plain = "".join(letter if letter.isalnum() or letter in _APOSTROPHES else " " for letter in text)
    words = (unicodedata.normalize("NFKC", word).casefold().translate(_ALIKE) for word in plain.split())
    return [word for word in words if len(word) >= SHORTEST_WORD]


def _ways(words: Iterable[str]) -> list[list[str]]:
    """The keys of words that may be unfinished: a final ``c`` is read as ``k`` and as the beginning of ``ch``. A word counts once.

    After these readings stand those with other spellings of the words.
    """
    once = dict.fromkeys(words)
    known = [(key, _key(f"{word}h")[:-1]) if may_be_ch(word) else (key,) for word in once if (key := _key(word))]
    spelled = [ends if len(ends) > 1 else _spellings(ends[0]) for ends in known]
    ways = [*islice(product(*known), WAYS), *islice(product(*spelled), WAYS)]
    return [[key[:LONGEST_WORD] for key in way] for way in ways]


def may_be_ch(word: str) -> bool:
    """Whether the next letter that is typed may make a ``ch`` of the word's end; letters without a sound, as in ``cь``, stand between."""
    return word.translate(_LATIN).endswith("c")


def _spellings(key: str) -> tuple[str, ...]:
    """The key and those of the same name as the other language spells it: ``Андрей`` and ``Андрій``, ``Евген`` and ``Євген``.

    The word may be unfinished, so ``Андре`` finds ``Андрій``, too. Short words have one spelling: they find enough.
    """
    if len(key) < _LONG_ENOUGH:
        return (key,)
    ends = [key]
    if key.endswith("ei"):
        ends.append(key.removesuffix("ei") + "i")
    elif key.endswith("e"):
        ends.append(key.removesuffix("e") + "i")
    elif key.endswith("i"):
        ends.append(key.removesuffix("i") + "ei")
    begins = [*ends, *(end[1:] for end in ends if end.startswith("ie")), *(f"i{end}" for end in ends if end[0] == "e")]
    return tuple(begins)


def _key(plain: str) -> str:
    latin = _HARD_C.sub("k", plain.translate(_LATIN))
    return " ".join(_DOUBLED.sub(r"\1", latin).split())[:KEY_MAX]
