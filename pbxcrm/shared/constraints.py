"""Turns a violated constraint into a business error with its message and field.

The actions check before they write, but two at the same time may both find a name free. Then the database refuses the second
one, and the user must get the same kind of message as from the action. PostgreSQL reports the name of the constraint, SQLite its
columns; the naming convention (``pbxcrm.shared.columns``) gives the name for the columns.
"""

import re
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError, IntegrityError

from pbxcrm.shared.errors import Conflict, Invalid, NotFound, PbxcrmError

_TAKEN: dict[str, Callable[[], PbxcrmError]] = {
    "uq_users_login": lambda: Invalid("login", "people.login_taken_now", "Somebody has just taken this login."),
    "pk_extensions": lambda: Invalid(
        "extensions", "people.extension_taken_now", "One of these extensions has just been given to somebody else."
    ),
    "uq_teams_name": lambda: Invalid("name", "people.team_taken_now", "There is a team of this name already."),
    "uq_lines_name": lambda: Invalid("name", "lines.taken_now", "There is a line of this name already."),
    "uq_pipelines_name": lambda: Invalid("name", "pipelines.taken_now", "There is a pipeline of this name already."),
    "uq_calendars_name": lambda: Invalid("name", "calendars.taken_now", "There is a calendar of this name already."),
    "uq_special_ranges_first": lambda: Invalid(
        "first", "numbers.range_taken_now", "Somebody has just put a range with this number on the list."
    ),
    "pk_special_numbers": lambda: Conflict(
        "numbers.taken_now", "Somebody has just put this number on a list. Look at it again."
    ),
}
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (\w+)\.(\w+(?:, \w+\.\w+)*)")
_TOO_LARGE = ("out of range", "out of int32 range", "out of int64 range", "value out of int", "too large to convert")


def in_words(error: DBAPIError) -> PbxcrmError | None:
    """The business error for what the database refused; None where the cause is a bug or a fault of the database."""
    if isinstance(error, IntegrityError):
        return _refused(error)
    # No row can have an id this large, so the answer is the same as for a row that does not exist.
    if any(sign in str(error.orig) for sign in _TOO_LARGE):
        return NotFound("web.no_such_id", "There is no such thing.")
    return None


def _refused(error: IntegrityError) -> PbxcrmError | None:
    said = str(error.orig)
    if "foreign key" in said.lower():
        return Conflict("web.gone", "Something this points to has just been deleted. Reload the page and try again.")
    for name in _names(error, said):
        if name in _TAKEN:
            return _TAKEN[name]()
    if "unique" in said.lower():
        return Conflict("web.faster", "Somebody has just done the same. Reload the page to see how it stands now.")
    return None


def _names(error: IntegrityError, said: str) -> list[str]:
    """The possible names of the violated constraint."""
    cause = getattr(error.orig, "__cause__", None)
    if name := getattr(cause, "constraint_name", None):
        return [str(name)]
    found = _SQLITE_UNIQUE.search(said)
    if found is None:
        return []
    table, columns = found[1], re.sub(r", \w+\.", "_", found[2])
    return [f"uq_{table}_{columns}", f"pk_{table}"]
