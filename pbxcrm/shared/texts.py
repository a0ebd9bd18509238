"""Cleaning text from people and telephones so that it is safe to show in one line."""

import unicodedata

_BLANK = frozenset({"Cc", "Zl", "Zp"})
_UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})  # including direction marks and zero-width spaces
_JOINER = "\u200d"  # holds emoji together


def one_line(text: str) -> str:
    """``text`` in one line with single spaces, without control, direction and invisible characters; empty if nothing is visible.

    Direction marks could change the order of the text on a page; a name without visible characters could not be clicked.
    """
    kept = "".join(
        " " if unicodedata.category(letter) in _BLANK else letter
        for letter in text
        if letter == _JOINER or unicodedata.category(letter) not in _UNSEEN
    )
    shown = " ".join(kept.split())
    return shown if shown.strip(_JOINER) else ""
