"""What people and telephones write, made safe to keep in one line."""

import unicodedata

_BLANK = frozenset({"Cc", "Zl", "Zp"})
_UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})  # among them the marks that turn the text around, and blanks of no width
_JOINER = "\u200d"  # holds emoji together


def one_line(text: str) -> str:
    """``text`` without control, direction-changing and invisible letters, its blanks folded; empty when nothing is to be seen.

    Marks that turn the text around could make a page say what it does not; a name of nothing visible could not be clicked.
    """
    kept = "".join(
        " " if unicodedata.category(letter) in _BLANK else letter
        for letter in text
        if letter == _JOINER or unicodedata.category(letter) not in _UNSEEN
    )
    shown = " ".join(kept.split())
    return shown if shown.strip(_JOINER) else ""
