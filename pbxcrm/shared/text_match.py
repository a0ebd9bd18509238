"""Finds rows by parts of a name or number, in the same way on every database.

An ORM event stores the search key of a name (``pbxcrm/shared/search_keys.py``) in a second column (``keep_folded``). ``LIKE`` then
finds parts of it, row by row; a query that begins at the text asks an index of its parts (``trigrams.py``). The words of the search
text may be in any order.
Lists first ask for up to ``MANY`` matching ids (``few``). If there are no more, the list is built from them. If there are more, a scan
from the newest row soon finds the first fifty.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, event, false, literal, or_, union_all
from sqlalchemy.orm import Mapped, Mapper
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.numbers import number_in_query
from pbxcrm.shared.search_keys import readings, search_key

MANY = 500
SHORTEST_NUMBER = 3  # digits
SHORTEST_PART = 3  # letters of a search key
_NATIONAL = 9  # from this many digits on, a leading zero is the national prefix, which E.164 does not contain
_WITH_PREFIX = 11  # digits of a whole number that begins with the national prefix 8
_TOWN = 4  # from this many digits on, an 8 that is set apart is the national prefix before an area code
_BETWEEN_DIGITS = frozenset(
    "+()./\u00a0\u202f\u2060\u200e\u202a\u202c"
)  # including invisible characters that are copied with a number


def folded_text() -> str:
    """A column for the search key of a name; ``keep_folded`` fills it."""
    return Field(default="", sa_type=Text, nullable=False)  # type: ignore[no-any-return]


def keep_folded(table: type[SQLModel], source: str, *, only_names: bool = False) -> None:
    """Keep ``<source>_folded`` of ``table`` up to date with ``source``. ``only_names``: empty for a text without letters."""

    def keep(_mapper: Mapper[SQLModel], _connection: Connection, row: SQLModel) -> None:
        value = getattr(row, source) or ""
        wanted = folded_name(value) if only_names else search_key(value)
        if getattr(row, f"{source}_folded") != wanted:
            setattr(row, f"{source}_folded", wanted)

    for event_name in ("before_insert", "before_update"):
        event.listen(table, event_name, keep)


def folded_name(text: str | None) -> str:
    """The search key of ``text``; empty when it has no letters (it is a number, not a name)."""
    return search_key(text) if text and has_letters(text) else ""


def has_letters(text: str) -> bool:
    """Whether the text can be a name and not only a number."""
    return any(letter.isalpha() for letter in text)


def part_of(column: Mapped[str], text: str) -> ColumnElement[bool]:
    """The condition that a search key contains all words of ``text``, in any order, as typed or with another keyboard layout."""
    read = [and_(*(column.contains(word, autoescape=True) for word in words)) for words in readings(text)]
    return or_(*read) if read else false()


def digits_of(text: str) -> str:
    """The digits to search for in stored numbers (E.164); empty where ``text`` cannot be a part of a number.

    For ``067 111 22 33`` they are ``671112233``: the zero is not part of ``+380671112233``. Neither is the long-distance 8 of Russia,
    Kazakhstan and Belarus: ``8 (916) 123-45-67`` is ``+79161234567``, ``8 029 …`` is ``+37529…``.
    """
    text = number_in_query(text.strip())
    rest = "".join(letter for letter in text if not letter.isdecimal())
    if any(unicodedata.category(letter) != "Pd" and letter not in _BETWEEN_DIGITS for letter in rest.replace(" ", "")):
        return ""
    digits = "".join(str(unicodedata.decimal(letter)) for letter in text if letter.isdecimal())
    if digits.startswith("8") and (len(digits) == _WITH_PREFIX or (len(digits) >= _TOWN and not text[1:2].isdecimal())):
        digits = digits[1:].lstrip("0")
    elif len(digits) >= _NATIONAL:
        digits = digits.lstrip("0")
    return digits if len(digits) >= SHORTEST_NUMBER else ""


def is_searchable(text: str) -> bool:
    """Whether an index by parts of three letters (trigrams) can find ``text``: a word of three letters or digits in each reading."""
    return bool(digits_of(text)) or all(any(len(word) >= SHORTEST_PART for word in words) for words in readings(text))


async def few(session: AsyncSession, **queries: Select[Any]) -> dict[str, list[int] | None]:
    """The ids that each query finds, or None where there are more than ``MANY``. All queries run in one statement."""
    return await up_to(session, MANY, queries)


async def up_to(session: AsyncSession, most: int, queries: Mapping[str, Select[Any]]) -> dict[str, list[int] | None]:
    """The same as ``few`` for another limit than ``MANY``."""
    parts = [select(literal(name), query.limit(most + 1).subquery(name).c[0]) for name, query in queries.items()]
    found: dict[str, list[int]] = {name: [] for name in queries}
    for name, row_id in (await session.exec(union_all(*parts))).all():  # type: ignore[call-overload]
        found[name].append(row_id)
    return {name: ids if len(ids) <= most else None for name, ids in found.items()}
