"""A condition with what it saw: each of its comparisons, the value that the row had, and whether it held."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pbxcrm.fields.conditions import AskedAt, Condition, Test, holds
from pbxcrm.fields.rules import Stored


@dataclass(frozen=True, slots=True)
class SeenComparison:
    """One comparison as it was answered: the value that the row had, and whether it held."""

    test: Test
    value: Stored | tuple[str, ...]
    held: bool


def explain(condition: Condition, row: Any, clock: AskedAt) -> tuple[bool, tuple[SeenComparison, ...]]:
    """What ``holds`` says, with every comparison of the condition in its order, also those that did not decide."""
    seen = (SeenComparison(test, test.term.read(row), holds(test, row, clock)) for test in _tests(condition))
    return holds(condition, row, clock), tuple(seen)


def _tests(condition: Condition) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
        return
    for part in condition.parts:
        yield from _tests(part)
