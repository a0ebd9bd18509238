"""The errors that the business code raises on purpose.

    PbxcrmError
    ├── NotAllowed        the user may not do this                        403
    ├── NotFound          it does not exist, or the user may not see it   404
    ├── Conflict          somebody else was faster, or the state forbids  409
    ├── Invalid           a value is wrong; ``field`` names it            422
    │   └── Incomplete    something is missing; ``missing`` lists it      422
    ├── TooManyAttempts   wait ``retry_after`` seconds                    429
    ├── Unavailable       a part we need fails (PBX, database, disk)      503
    └── BadSettings       the settings cannot work; the process stops

Entry points (pages, API, CLI) turn them into responses. ``code`` is stable, and clients may rely on it. ``message`` is English;
it is translated by gettext and filled with ``params`` before a person reads it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


class PbxcrmError(Exception):
    """The base class. ``params`` fill the placeholders of ``message``."""

    status: ClassVar[int] = 500

    def __init__(self, code: str, message: str, **params: str | int) -> None:
        super().__init__(message.format(**params) if params else message)
        self.code = code
        self.message = message
        self.params = params


class NotAllowed(PbxcrmError):
    """The user may see the object but may not do this with it."""

    status = 403


class NotFound(PbxcrmError):
    """The object does not exist, or the user may not see it. Both get the same answer, so that nothing is disclosed."""

    status = 404


class Conflict(PbxcrmError):
    """The current state of the data forbids it, often because somebody else was faster."""

    status = 409


class Invalid(PbxcrmError):
    """A value is wrong. ``field`` is the name of the form field or API member, empty for the whole form.

    ``known``: the values that would be right, if they are a closed list. People choose from a list; the API names them.
    """

    status = 422
    known: tuple[str, ...] = ()

    def __init__(self, field: str, code: str, message: str, **params: str | int) -> None:
        super().__init__(code, message, **params)
        self.field = field

    def among(self, known: Iterable[str]) -> Self:
        """Set ``known``; returns the error, to be raised."""
        self.known = tuple(known)
        return self


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that an action needs and lacks. ``key`` identifies it within its ``kind``; ``message`` is English; ``code``: its reason."""

    kind: str
    key: str
    message: str
    code: str = ""


class Incomplete(Invalid):
    """An action lacks values that the user can add. ``missing`` is never empty; ``field`` and ``message`` are of its first item."""

    def __init__(self, code: str, missing: Sequence[Missing]) -> None:
        super().__init__(missing[0].key, code, missing[0].message)
        self.missing = tuple(missing)


class TooManyAttempts(PbxcrmError):
    """Too many attempts; the user may try again after ``retry_after`` seconds."""

    status = 429

    def __init__(self, code: str, message: str, *, retry_after: int, **params: str | int) -> None:
        super().__init__(code, message, retry_after=retry_after, **params)
        self.retry_after = retry_after


class Unavailable(PbxcrmError):
    """A part that we need is not available; the same request may succeed later."""

    status = 503


class BadSettings(PbxcrmError):
    """The process cannot start with these settings. The message names the setting and says what to do."""

    status = 500


def not_there(code: str, message: str, field: str = "") -> NotFound | Invalid:
    """The error of an ``access_…`` function: NotFound for an id in a URL; Invalid at ``field`` for an id in a form or body."""
    return Invalid(field, code, message) if field else NotFound(code, message)
