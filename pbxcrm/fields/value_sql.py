"""The values of custom fields in SQL: one expression per shape, the same text in queries and in the index that serves them.

The field's id stands in the statement as a literal. SQLite uses an index on an expression only where the query has the same
text, so a bound path would read the whole table; on PostgreSQL a generic plan would.
"""

from typing import Any

from sqlalchemy import BigInteger, Text, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.sqltypes import NullType


class StoredInteger(FunctionElement[int]):
    """The value of a field that is stored as a whole number."""

    inherit_cache = True
    type = BigInteger()


class StoredText(FunctionElement[str]):
    """The value of a field that is stored as a text, in the order of its bytes."""

    inherit_cache = True
    type = Text()


class StoredList(FunctionElement[str]):
    """The list of a field as JSON; only to see whether it is there."""

    inherit_cache = True
    type = Text()


class HasId(FunctionElement[Any]):
    """Whether the list of a field contains an id."""

    inherit_cache = True
    type = NullType()  # of a Boolean, SQLAlchemy would write "… = 1" on SQLite, which no index serves


def integer(column: Any, field_id: int) -> StoredInteger:
    """The value in the column ``custom`` of a table."""
    return StoredInteger(column, literal_column(str(int(field_id))))


def text(column: Any, field_id: int, *, key: bool) -> StoredText:
    """The value in the column ``custom``; ``key``: by which a text is compared."""
    return StoredText(column, literal_column(f"{int(field_id)}k" if key else str(int(field_id))))


def sorted_text(column: Any, field_id: int) -> StoredText:
    """The key in the column ``custom`` by which a text is sorted (``alphabet.order_key``)."""
    return StoredText(column, literal_column(f"{int(field_id)}s"))


def as_list(column: Any, field_id: int) -> StoredList:
    """The list in the column ``custom``."""
    return StoredList(column, literal_column(str(int(field_id))))


def has_id(column: Any, field_id: int, row_id: int) -> HasId:
    """Whether the list in the column ``custom`` contains ``row_id``."""
    return HasId(column, literal_column(str(int(field_id))), literal_column(str(int(row_id))))


def integer_sql(dialect: str, column: str, name: str) -> str:
    """The expression of ``integer``."""
    return f"CAST(({column} ->> '{name}') AS BIGINT)" if dialect == "postgresql" else _extracted(column, name)


def text_sql(dialect: str, column: str, name: str) -> str:
    """The expression of ``text``."""
    return f"(({column} ->> '{name}') COLLATE \"C\")" if dialect == "postgresql" else _extracted(column, name)


def list_sql(dialect: str, column: str, name: str) -> str:
    """The expression of ``as_list``."""
    return f"({column} -> '{name}')" if dialect == "postgresql" else _extracted(column, name)


def has_id_sql(dialect: str, column: str, name: str, row_id: str) -> str:
    """The expression of ``has_id``."""
    if dialect == "postgresql":
        return f"({column} -> '{name}') @> '[{row_id}]'"
    inside = f"replace(replace({_extracted(column, name)}, '[', ','), ']', ',')"
    return f"instr({inside}, ',{row_id},') > 0"


def _extracted(column: str, name: str) -> str:
    return f"json_extract({column}, '$.\"{name}\"')"


def _parts(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> tuple[str, ...]:
    column, *literals = element.clauses
    return (compiler.process(column, **options), *(str(each.name) for each in literals))


@compiles(StoredInteger)
def _integer(element: StoredInteger, compiler: SQLCompiler, **options: Any) -> str:
    return integer_sql(compiler.dialect.name, *_parts(element, compiler, **options))


@compiles(StoredText)
def _text(element: StoredText, compiler: SQLCompiler, **options: Any) -> str:
    return text_sql(compiler.dialect.name, *_parts(element, compiler, **options))


@compiles(StoredList)
def _list(element: StoredList, compiler: SQLCompiler, **options: Any) -> str:
    return list_sql(compiler.dialect.name, *_parts(element, compiler, **options))


@compiles(HasId)
def _has_id(element: HasId, compiler: SQLCompiler, **options: Any) -> str:
    return f"({has_id_sql(compiler.dialect.name, *_parts(element, compiler, **options))})"
