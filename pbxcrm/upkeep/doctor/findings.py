"""A finding of a check: one line that a person can act on."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How bad a finding of ``pbxcrm doctor`` is."""

    GOOD = "✓"
    ODD = "!"  # it works, but somebody should look
    BAD = "✗"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is a sentence, ``todo`` what to do about it."""

    mark: Mark
    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.mark} {self.what}" + (f" {self.todo}" if self.todo else "")


def good(what: str) -> Finding:
    """A finding for something that works."""
    return Finding(Mark.GOOD, what)


def odd(what: str, todo: str) -> Finding:
    """A finding for something that works but needs attention; ``todo`` says what to do."""
    return Finding(Mark.ODD, what, todo)


def bad(what: str, todo: str) -> Finding:
    """A finding for something that does not work; ``todo`` says what to do."""
    return Finding(Mark.BAD, what, todo)


def counted(count: int, one: str, many: str) -> str:
    """``1 call``, ``3 calls``: doctor speaks English only."""
    return f"{count} {one if count == 1 else many}"
