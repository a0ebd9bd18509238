"""The maximum length of a text. It is defined once, by the database column; everything else reads it here.

Checks and API models pass the column (``longest(Contact.name)``), templates its name (``longest_of("contacts.name")``).
"""

from functools import cache

from sqlmodel import SQLModel

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line

#: Characters of a search text. It is not tied to a column, because it is compared with several.
LONGEST_SEARCH = 100
#: Characters of a wrong value that an error message repeats.
LONGEST_REPEATED = 60


@cache
def longest(column: str | None) -> int:
    """How many characters a text column holds: ``longest(Contact.name)``. Raises TypeError for a column without a limit."""
    return _length(getattr(column, "type", None))  # a mapped attribute, which type checkers take for its value


def longest_of(name: str) -> int:
    """The same as ``longest`` for the name ``"table.column"``, for templates. Raises KeyError for an unknown column."""
    table, _, column = name.partition(".")
    return _length(SQLModel.metadata.tables[table].c[column].type)


def _length(kind: object) -> int:
    length = getattr(kind, "length", None)
    if not isinstance(length, int):
        raise TypeError("the column has no limit")
    return length


def cut(text: str, column: str | None) -> str:
    """``text`` cut to the length of the column. Only for text from machines; text from a person is refused instead."""
    return text[: longest(column)]


def check_line(text: str, column: str | None, field: str, code: str, message: str) -> str:
    """A required text in one line. Raises Invalid at ``field`` with ``message``, which may contain ``{most}``."""
    line = one_line(text)
    if not line or len(line) > longest(column):
        raise Invalid(field, code, message, most=longest(column))
    return line


def check_text(text: str, column: str | None, field: str, code: str, message: str) -> str:
    """A required text of several lines, stripped. Raises Invalid as ``check_line`` does."""
    kept = _lines(text)
    if not kept or len(kept) > longest(column):
        raise Invalid(field, code, message, most=longest(column))
    return kept


def check_optional_text(text: str, column: str | None, field: str) -> str:
    """An optional text of several lines, stripped. Raises Invalid at ``field`` when it is too long."""
    kept = _lines(text)
    if len(kept) > longest(column):
        raise Invalid(field, "form.too_long", "Write at most {most} characters.", most=longest(column))
    return kept


def _lines(text: str) -> str:
    """Strip, and turn CRLF into LF: forms send two characters per line break, but ``maxlength`` in the browser counts one."""
    return text.replace("\r\n", "\n").strip()
