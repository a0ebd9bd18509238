"""Why a comparison within *none* decides against a rule, said without a double negation."""

import pytest

from pbxcrm.automation.explanations import NOTHING, SeenTest
from pbxcrm.shared import reasons


@pytest.mark.parametrize(
    ("op", "value", "saw", "said"),
    [
        ("=", "bad", "bad", "Source is bad, and must be something else."),
        ("!=", "good", "bad", "Source is bad, asked: good."),
        ("!=", "good", NOTHING, "Source is empty, asked: = good."),
        ("begins", "Bought", "Bought elsewhere", "Source is Bought elsewhere, asked: does not begin with Bought."),
        ("contains", "else", "Bought elsewhere", "Source is Bought elsewhere, asked: does not have else in it."),
        ("in", "bad, worse", "bad", "Source is bad, asked: none of bad, worse."),
        (">=", "5", "7", "Source is 7, asked: < 5."),
        ("filled", "", "bad", "Source is bad, asked: empty."),
        ("empty", "", NOTHING, "Source is empty."),
    ],
)
def test_what_may_not_be_is_said_once(op: str, value: str, saw: str, said: str) -> None:
    assert reasons.text(SeenTest("source", "Source", op, value, saw, held=True).why()) == said
