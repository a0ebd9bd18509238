"""How long a text may be: the column of its table says so, and everything else asks here.

Checks and the models of the API take the column (``longest(Contact.name)``), templates its name (``longest_of("contacts.name")``).
"""

from sqlmodel import SQLModel

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line

#: Letters that somebody may look for at once. No column: it is compared with several.
LONGEST_SEARCH = 100
#: Letters of a wrong value that an error message repeats.
LONGEST_REPEATED = 60


def longest(column: str | None) -> int:
    """How many letters a text column holds: ``longest(Contact.name)``. Raises TypeError for a column without a limit."""
    return _length(getattr(column, "type", None))  # a mapped attribute, which type checkers take for its value


def longest_of(name: str) -> int:
    """The same for ``"table.column"``, as templates write it. Raises KeyError where there is no such column."""
    table, _, column = name.partition(".")
    return _length(SQLModel.metadata.tables[table].c[column].type)


def _length(kind: object) -> int:
    length = getattr(kind, "length", None)
    if not isinstance(length, int):
        raise TypeError("the column has no limit")
    return length


def cut(text: str, column: str | None) -> str:
    """As much of ``text`` as the column holds: for what machines say. What a person typed is refused instead, not cut."""
    return text[: longest(column)]


def check_line(text: str, column: str | None, field: str, code: str, message: str) -> str:
    """What must be given, in one line. Raises Invalid at ``field`` with ``message``, which may say ``{most}``."""
    line = one_line(text)
    if not line or len(line) > longest(column):
        raise Invalid(field, code, message, most=longest(column))
    return line


def check_text(text: str, column: str | None, field: str, code: str, message: str) -> str:
    """What must be given, of several lines, without blanks around it. Raises Invalid as ``check_line`` does."""
    kept = _lines(text)
    if not kept or len(kept) > longest(column):
        raise Invalid(field, code, message, most=longest(column))
    return kept


def check_optional_text(text: str, column: str | None, field: str) -> str:
    """What may be left empty, of several lines, without blanks around it. Raises Invalid at ``field`` where it is too long."""
    kept = _lines(text)
    if len(kept) > longest(column):
        raise Invalid(field, "form.too_long", "Write at most {most} characters.", most=longest(column))
    return kept


def _lines(text: str) -> str:
    """Forms send two letters at each end of a line; fields of a page count one."""
    return text.replace("\r\n", "\n").strip()
