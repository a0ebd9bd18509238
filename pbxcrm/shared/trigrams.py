"""Finds parts of names and numbers through SQLite's index by trigrams (FTS5), where PostgreSQL has ``pg_trgm`` on the columns themselves.

On SQLite each searched column has a table of its own, ``<table>_<column>_trigrams``, which triggers keep up to date
(``migrations/sqlite_trigrams.py``). On PostgreSQL, and with an SQLite that has no such index, the same condition is a ``LIKE``.
"""

import sqlite3
from contextlib import closing
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, column, false, literal_column, or_, select, table, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from pbxcrm.shared.search_keys import readings

SHORTEST_PART = 3  # letters or digits that such an index finds
ENDING = "_trigrams"
TOKENIZER = "trigram case_sensitive 1"  # keys are casefolded already, and numbers have no case


@cache
def sqlite_has_them() -> bool:
    """Whether this SQLite was built with FTS5 and is 3.34 or newer, which brought the tokenizer."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"CREATE VIRTUAL TABLE probe USING fts5(part, tokenize='{TOKENIZER}')")
        except sqlite3.OperationalError:
            return False
    return True


def index_of(table_name: str, column_name: str) -> str:
    """The name of the index of a column."""
    return f"{table_name}_{column_name}{ENDING}"


class FoundByParts(ColumnElement[bool]):
    """``anywhere``: the condition as each database understands it; ``on_sqlite``: the same through the index."""

    __visit_name__ = "found_by_parts"
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012  # SQLAlchemy's own way to declare what a statement is cached by
        ("anywhere", InternalTraversal.dp_clauseelement),
        ("on_sqlite", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, anywhere: ColumnElement[bool], on_sqlite: ColumnElement[bool]) -> None:
        self.anywhere, self.on_sqlite = anywhere, on_sqlite

    @property
    def _from_objects(self) -> Any:  # the tables of a statement that has this condition
        return self.anywhere._from_objects

    def self_group(self, against: Any = None) -> "ColumnElement[bool]":
        """As a part of a larger condition: each of the two in brackets where it needs them."""
        return FoundByParts(self.anywhere.self_group(against), self.on_sqlite.self_group(against))


@compiles(FoundByParts)
def _anywhere(element: FoundByParts, compiler: Any, **options: Any) -> str:
    return compiler.process(element.anywhere, **options)  # type: ignore[no-any-return]


@compiles(FoundByParts, "sqlite")
def _on_sqlite(element: FoundByParts, compiler: Any, **options: Any) -> str:
    return compiler.process(element.on_sqlite, **options)  # type: ignore[no-any-return]


def holds_words(searched: Any, text: str, *, newest: int | None = None) -> ColumnElement[bool]:
    """The condition that a search key contains the words of ``text`` as ``text_match.part_of`` says it, for a query that begins here.

    A condition that is tested row by row (another index finds the rows) is a ``part_of``. ``newest``: of more matches SQLite needs to
    collect only so many, the newest by id.
    """
    ways = readings(text)
    likes = [and_(*(searched.contains(word, autoescape=True) for word in words)) for words in ways]
    if not likes:
        return false()
    return _found(searched, or_(*likes), ways, newest)


def holds_digits(searched: Any, digits: str, *, newest: int | None = None) -> ColumnElement[bool]:
    """The same for the digits of a number."""
    return _found(searched, searched.contains(digits, autoescape=True), [[digits]], newest)


def _found(searched: Any, like: ColumnElement[bool], ways: list[list[str]], newest: int | None) -> ColumnElement[bool]:
    long = [[word for word in words if len(word) >= SHORTEST_PART] for words in ways]
    if not all(long) or not sqlite_has_them():
        return like
    owner = searched.class_.__table__
    name = index_of(owner.name, searched.key)
    asked = " OR ".join("(" + " AND ".join(map(_quoted, words)) + ")" for words in long)
    keys = [key.name for key in owner.primary_key]
    index = table(name, column("rowid"), *(column(key) for key in keys if key != "id"))
    rows = select(*(index.c["rowid" if key == "id" else key] for key in keys)).where(
        literal_column(name).op("MATCH")(asked)
    )
    if newest is not None:
        rows = rows.order_by(index.c.rowid.desc()).limit(newest)
    mine = [getattr(searched.class_, key) for key in keys]
    found: ColumnElement[bool] = (mine[0] if len(mine) == 1 else tuple_(*mine)).in_(rows)
    if long != ways:  # words of one or two letters are compared row by row
        found = and_(found, like)
    return FoundByParts(like, found)


def _quoted(word: str) -> str:
    """A word as FTS5 takes it: a phrase of trigrams, which is the word itself."""
    return '"' + word.replace('"', '""').replace("\x00", "") + '"'
