"""Finds the words of names that are one typing error away: a letter too many, missing, wrong, or swapped with the next one.

Each word of a name is stored with all spellings that lack one letter of it. Two words one error apart share such a spelling, so an
error costs one look-up by the primary key, alike on both databases and however many names there are (as in SymSpell). Similarity of
trigrams reads a large part of its index for a frequent syllable and finds little in short names.
"""

from sqlalchemy import Connection, event
from sqlalchemy.orm import Mapper
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import TableModel, is_written
from pbxcrm.shared.core_sql import insert_new
from pbxcrm.shared.search_keys import LONGEST_WORD, readings, search_key

SHORTEST = 4  # letters of a key; shorter words have too many neighbours
MOST_TEXTS = 4  # corrected texts that are worth a search
_MOST_WORDS = 20


class NameSpelling(TableModel, table=True):
    """A spelling of a word of a name: the word's key itself, or the key without one letter. Rows stay when names change."""

    __tablename__ = "name_spellings"

    spelling: str = Field(max_length=LONGEST_WORD, primary_key=True)
    word: str = Field(max_length=LONGEST_WORD, primary_key=True)


def words_to_spell(name: str) -> list[str]:
    """The keys of the words of a name whose typing errors are corrected."""
    words = dict.fromkeys(search_key(name).split())
    return [word for word in words if SHORTEST <= len(word) <= LONGEST_WORD and word.isalpha()]


def spellings_of(word: str) -> list[str]:
    """The word and all its spellings without one letter."""
    return list(dict.fromkeys([word, *(word[:n] + word[n + 1 :] for n in range(len(word)))]))


def keep_spellings(table: type[SQLModel], source: str) -> None:
    """Store the spellings of the words of the column ``source`` of ``table``, with each row that is written."""

    def keep(_mapper: Mapper[SQLModel], connection: Connection, row: SQLModel) -> None:
        words = words_to_spell(getattr(row, source) or "")
        if not words or not is_written(row, source):
            return
        itself = select(NameSpelling.word).where(
            col(NameSpelling.spelling).in_(words), col(NameSpelling.spelling) == col(NameSpelling.word)
        )
        known = set(connection.execute(itself).scalars())
        rows = [
            {"spelling": spelling, "word": word}
            for word in sorted(set(words) - known)
            for spelling in sorted(spellings_of(word))
        ]
        if rows:
            connection.execute(insert_new(NameSpelling, connection.dialect.name), rows)

    event.listen(table, "after_insert", keep)
    event.listen(table, "after_update", keep)


async def corrected(session: AsyncSession, text: str) -> list[str]:
    """Texts with the words of names that ``text`` may mean; without ``text`` itself, empty if no word is one error from a name."""
    found: list[str] = []
    for words in readings(text):
        near = [await _near(session, word) for word in words]
        if not any(near):
            continue
        for word, others in zip(words, near, strict=True):
            for other in others:
                meant = " ".join(other if one == word else one for one in words)
                if meant not in found:
                    found.append(meant)
        # Errors in several words.
        if sum(map(bool, near)) > 1:
            found.insert(0, " ".join(others[0] if others else word for word, others in zip(words, near, strict=True)))
    return found[:MOST_TEXTS]


async def _near(session: AsyncSession, word: str) -> list[str]:
    if not SHORTEST <= len(word) <= LONGEST_WORD or not word.isalpha():
        return []
    alike = select(NameSpelling.word).where(col(NameSpelling.spelling).in_(spellings_of(word))).distinct()
    found = (await session.exec(alike.order_by(NameSpelling.word).limit(_MOST_WORDS))).all()
    return [other for other in found if one_error_apart(word, other)]


def one_error_apart(one: str, other: str) -> bool:
    """Whether two different words are one insertion, removal, replacement or swap of neighbours apart."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    begin = 0
    while begin < min(len(one), len(other)) and one[begin] == other[begin]:
        begin += 1
    end = 0
    while end < min(len(one), len(other)) - begin and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[begin : len(one) - end], other[begin : len(other) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == len(right) == 2 and left == right[::-1])
