"""A condition with what it saw: each of its comparisons, the value that the row had, and whether it held."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pbxcrm.fields.conditions import Condition, Test, holds, joined, tests_in
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Stored


@dataclass(frozen=True, slots=True)
class SeenComparison:
    """One comparison as it was answered: the value that the row had, and whether it held."""

    test: Test
    value: Stored | tuple[str, ...]
    held: bool


def explain(condition: Condition, row: Any, clock: AskedAt) -> tuple[bool, tuple[SeenComparison, ...]]:
    """What ``holds`` says, with every comparison of the condition in its order, also those that did not decide."""
    seen = tuple(SeenComparison(test, test.term.read(row), holds(test, row, clock)) for test in tests_in(condition))
    return _fold(condition, iter(seen)), seen


def guilty(condition: Condition, seen: tuple[SeenComparison, ...]) -> SeenComparison | None:
    """The first comparison because of which a condition does not hold; None if it holds, or has none. ``seen``: what ``explain`` gave."""
    held, against = _against(condition, iter(seen))
    return against[0] if not held and against else None


def _fold(condition: Condition, seen: Iterator[SeenComparison]) -> bool:
    if isinstance(condition, Test):
        return next(seen).held
    return joined(condition.how, [_fold(part, seen) for part in condition.parts])


def _against(condition: Condition, seen: Iterator[SeenComparison]) -> tuple[bool, list[SeenComparison]]:
    """Whether a part held, and the comparisons that made it what it is."""
    if isinstance(condition, Test):
        found = next(seen)
        return found.held, [found]
    parts = [_against(part, seen) for part in condition.parts]
    held = joined(condition.how, [each for each, _ in parts])
    decides = held is (condition.how == "any")  # one part was enough for that
    wanted = condition.how != "all"  # one that held decides *any* and *none*, one that did not decides *all*
    return held, [test for each, tests in parts if not decides or each is wanted for test in tests]
