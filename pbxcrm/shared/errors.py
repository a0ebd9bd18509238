"""The tree of errors that the business raises on purpose.

    PbxcrmError
    ├── NotAllowed        who asks may not do this                        403
    ├── NotFound          it is not there, or not for who asks            404
    ├── Conflict          somebody else was faster, or the state forbids  409
    ├── Invalid           a value is wrong; ``field`` names it            422
    │   └── Incomplete    something is missing; ``missing`` lists it      422
    ├── TooManyAttempts   wait ``retry_after`` seconds                    429
    ├── Unavailable       a part we need is away (PBX, database, disk)    503
    └── BadSettings       the configuration cannot work; the process stops

Entry points (pages, API, CLI) translate them; nobody else catches them. ``code`` is stable and may be relied on;
``message`` is English and goes through gettext with ``params`` before a person reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class PbxcrmError(Exception):
    """The root of the tree. ``params`` fill the places of ``message``."""

    status: ClassVar[int] = 500

    def __init__(self, code: str, message: str, **params: str | int) -> None:
        super().__init__(message.format(**params) if params else message)
        self.code = code
        self.message = message
        self.params = params


class NotAllowed(PbxcrmError):
    """Who asks sees the thing and may not do this with it."""

    status = 403


class NotFound(PbxcrmError):
    """It is not there, or not for who asks: the two are told alike, so that nothing is given away."""

    status = 404


class Conflict(PbxcrmError):
    """The state of the data forbids it now, often because somebody else was faster."""

    status = 409


class Invalid(PbxcrmError):
    """A value is wrong; ``field`` is the name of the form field or of the API member, empty for the whole."""

    status = 422

    def __init__(self, field: str, code: str, message: str, **params: str | int) -> None:
        super().__init__(code, message, **params)
        self.field = field


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing without which an act cannot be done. ``key`` names it among those of its ``kind``; ``message`` is English."""

    kind: str
    key: str
    message: str


class Incomplete(Invalid):
    """An act lacks something that can be given. ``missing`` is never empty; ``field`` and ``message`` are those of its first."""

    def __init__(self, code: str, missing: Sequence[Missing]) -> None:
        super().__init__(missing[0].key, code, missing[0].message)
        self.missing = tuple(missing)


class TooManyAttempts(PbxcrmError):
    """Try again after ``retry_after`` seconds."""

    status = 429

    def __init__(self, code: str, message: str, *, retry_after: int, **params: str | int) -> None:
        super().__init__(code, message, retry_after=retry_after, **params)
        self.retry_after = retry_after


class Unavailable(PbxcrmError):
    """A part that we need is away; the same request may succeed later."""

    status = 503


class BadSettings(PbxcrmError):
    """The process cannot start with these settings; the message says which one and what to do."""

    status = 500


def not_there(code: str, message: str, field: str = "") -> NotFound | Invalid:
    """What an ``access_…`` raises: NotFound for what an address names, Invalid at ``field`` for what stands in a form or body."""
    return Invalid(field, code, message) if field else NotFound(code, message)
