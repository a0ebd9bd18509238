"""Texts with formulas in them: what they become, and what is wrong where."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pbxcrm.formulas.functions import Value
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.texts import BEGIN, check_text, filled
from tests.unit.formulas.test_formulas import AROUND, FRIDAY

KNOWN: dict[str, Value] = {
    "client": "Olena {=",
    "amount": Decimal("1500.50"),
    "visit": FRIDAY,
    "day": date(2026, 12, 1),
    "nothing": None,
    "yes": True,
}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("Call {= client}!", "Call Olena {=!"),
        ("Half: {= amount / 2}, {=amount*2}.", "Half: 750.25, 3001."),
        ("At {= visit}, on {= day}, {= nothing}.", "At 27.11.2026 16:00, on 01.12.2026, ."),
        ('{= if(amount > 1000, "a } brace", "no")}', "a } brace"),
        ("Plain { = } {} text", "Plain { = } {} text"),
    ],
)
def test_formulas_become_what_they_give(text: str, becomes: str) -> None:
    assert check_text(text, KNOWN.keys()) == []
    assert filled(text, KNOWN, AROUND) == becomes


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("Call {= cleint} now", "no_field", 9),
        ("Call {= client now", "not_closed", 6),
        ('{= client}{= "a}', "not_closed", 11),
        ("{=}", "nothing", 3),
        ("{= 1 +}", "", 0),
    ],
)
def test_what_is_wrong_is_said_at_its_place_in_the_whole_text(text: str, code: str, at: int) -> None:
    problem = check_text(text, KNOWN.keys())[0]
    assert not code or (problem.code, problem.at) == (code, at)
    with pytest.raises(FormulaError):
        filled(text, KNOWN, AROUND)


def test_a_condition_is_no_text() -> None:
    with pytest.raises(FormulaError, match="a text is needed"):
        filled("{= yes}", KNOWN, AROUND)


@given(some.text())
def test_any_text_without_a_formula_stays_as_it_is(text: str) -> None:
    assert BEGIN in text or filled(text, {}, AROUND) == text
