"""Our own words in the language of somebody who is not at a page: the shipped names of stages in a message to a client.

The catalogues belong to the pages; the entry points register who reads them. Without that words stay English.
"""

from collections.abc import Callable

#: The word in the language with this code (``uk``); a word that is none of ours as it is.
WordIn = Callable[[str, str], str]
_registered: list[WordIn] = []


def register_words(word_in: WordIn) -> None:
    """Register who knows our words in each language; replaces an earlier one."""
    _registered[:] = [word_in]


def word_in(language: str, word: str) -> str:
    """The word in that language."""
    return _registered[0](language, word) if _registered and word else word
