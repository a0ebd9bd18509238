"""An index of the words of longer texts (notes), searched by the beginnings of words.

It is the same on both databases. Notes are too long for the scan that finds names (``text_match``); here, a beginning of a word is a
range of the primary key. Events of the ORM keep the index up to date (``keep_words``).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    String,
    Subquery,
    delete,
    event,
    insert,
    inspect,
    intersect,
    union,
)
from sqlalchemy.orm import Mapper, Session, object_session
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.shared.columns import TableModel
from pbxcrm.shared.search_keys import LONGEST_WORD, word_readings, words_of

_READ = 20_000  # words with one beginning
_LAST = "\U0010ffff"  # sorts behind every letter


class SearchWord(TableModel, table=True):
    """A word of a text; ``kind`` is the name of the text's table, ``row_id`` its row."""

    __tablename__ = "search_words"
    __table_args__ = (Index("ix_search_words_row", "kind", "row_id"),)

    # Compared by bytes, so that all words with the same beginning are one range.
    word: str = Field(
        sa_column=Column(
            String(LONGEST_WORD).with_variant(String(LONGEST_WORD, collation="C"), "postgresql"), primary_key=True
        )
    )
    kind: str = Field(max_length=16, primary_key=True)
    row_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


_ADD = insert(SQLModel.metadata.tables[str(SearchWord.__tablename__)])  # built once: each note needs it


_SOURCES: dict[type[SQLModel], str] = {}


def _rows(kind: str, row_id: int, text: str) -> list[dict[str, Any]]:
    return [{"word": word, "kind": kind, "row_id": row_id} for word in words_of(text)]


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _context: object) -> None:
    rows: list[dict[str, Any]] = []
    for row in session.new:
        if (source := _SOURCES.get(type(row))) is not None:
            rows += _rows(str(row.__tablename__), row.id, getattr(row, source))
    if rows:
        session.connection().execute(_ADD, rows)


def keep_words(table: type[SQLModel], source: str) -> None:
    """Index the words of the column ``source`` of ``table``; they are updated and deleted with the row."""
    kind = str(table.__tablename__)

    _SOURCES[table] = source

    def write(connection: Connection, row_id: int, text: str) -> None:
        rows = _rows(kind, row_id, text)
        if rows:
            connection.execute(_ADD, rows)

    def made(_mapper: Mapper[SQLModel], connection: Connection, row: SQLModel) -> None:
        if object_session(row) is None:  # written through Core: a flush writes the words of all its rows at its end
            write(connection, row.id, getattr(row, source))  # type: ignore[attr-defined]  # all have one

    def gone(_mapper: Mapper[SQLModel], connection: Connection, row: SQLModel) -> None:
        of_it = (col(SearchWord.kind) == kind, col(SearchWord.row_id) == row.id)  # type: ignore[attr-defined]
        connection.execute(delete(SearchWord).where(*of_it))

    def changed(mapper: Mapper[SQLModel], connection: Connection, row: SQLModel) -> None:
        if inspect(row).attrs[source].history.has_changes():
            gone(mapper, connection, row)
            write(connection, row.id, getattr(row, source))  # type: ignore[attr-defined]

    event.listen(table, "after_insert", made)
    event.listen(table, "after_update", changed)
    event.listen(table, "after_delete", gone)


def rows_with(kind: str, text: str) -> Subquery | None:
    """A query for the ids of the rows of ``kind`` where each word of ``text`` begins a word; None where ``text`` has no words."""
    queries = [_with_all(kind, words) for words in word_readings(text)]
    if not queries:
        return None
    return union(*(select(query.c[0].label("row_id")) for query in queries)).subquery()


def newest_with(kind: str, text: str, *, most: int) -> Any:  # Select of ids, or None
    """A query for the newest ``most`` ids of rows of ``kind`` where each word of ``text`` begins a word; None for a text without words.

    Of a beginning that more than ``_READ`` words have, those with the very word are complete and of the others the first are taken.
    """
    found = []
    for words in word_readings(text):
        if len(words) > 1:
            found.append(_with_all(kind, words))
            continue
        of_word = (col(SearchWord.word) == words[0], col(SearchWord.kind) == kind)
        exact = select(col(SearchWord.row_id)).where(*of_word).order_by(col(SearchWord.row_id).desc()).limit(most)
        found += [exact.subquery(), _beginning(kind, words[0]).limit(_READ).subquery()]
    if not found:
        return None
    rows = union(*(select(query.c[0].label("row_id")) for query in found)).subquery()
    return select(rows.c.row_id).order_by(rows.c.row_id.desc()).limit(most)


def _with_all(kind: str, words: Sequence[str]) -> Subquery:
    """A query for the ids of the rows where each of ``words`` begins a word. If one of them is nowhere, none of the others is read."""
    if len(words) == 1:
        return _beginning(kind, words[0]).subquery()
    there = [_beginning(kind, word).exists() for word in sorted(words, key=len, reverse=True)]  # long ones are rarer
    return intersect(*(_beginning(kind, word).where(*there) for word in words)).subquery()


def _beginning(kind: str, word: str) -> SelectOfScalar[int]:
    found = col(SearchWord.word)
    # Joined with nothing, the kind is no reason for SQLite to read all words of it by their index instead of the few by the word.
    of_kind = col(SearchWord.kind).concat("") == kind
    return select(col(SearchWord.row_id)).where(found >= word, found < word + _LAST, of_kind)
