"""Formulas: what they give, what is wrong with them and where, and what they read."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.formulas.evaluating import evaluate, evaluate_number
from pbxcrm.formulas.functions import FUNCTIONS, FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import Circle, check, dependencies, in_order

KYIV = ZoneInfo("Europe/Kyiv")
DAY = ((9 * 60, 18 * 60),)
OFFICE = WorkingTime(KYIV, (DAY, DAY, DAY, DAY, DAY, (), ()))
FRIDAY = datetime(2026, 11, 27, 16, 0, tzinfo=KYIV)
AROUND = FormulaTime(FRIDAY.astimezone(UTC), OFFICE)
ROOM: dict[str, Value] = {
    "length": Decimal(5),
    "width": Decimal(6),
    "height": Decimal(3),
    "walls": "Brick",
    "висота": Decimal("2.5"),
    "class": Decimal(7),
    "nothing": None,
    "moved_in": date(2026, 11, 27),
    "visit": FRIDAY,
}


def value(text: str) -> Value:
    return evaluate(text, ROOM, AROUND)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * (length + width) * height", "66"),
        ("ceil(2 * (length + width) * height / 5.3)", "13"),
        ("IF(walls = 'brick'; 66 * 8.5; 0)", "561"),
        ("if(length <> 5, 1, 2)", "2"),
        ("0.1 + 0.2", "0.3"),
        ("round(2.345, 2)", "2.35"),
        ("round(-2.5)", "-3"),
        ("floor(10 / 3 * 3)", "10"),
        ("ceil(1 / 3 * 3)", "1"),
        ("2 ^ 10", "1024"),
        ("-2 ** 2", "-4"),
        ("7 % 4", "3"),
        ("висота * 2", "5"),
        ("class + 1", "8"),
        ("default(nothing, 4) + 1", "5"),
        ("if(empty(nothing), 1, nothing * 2)", "1"),
        ("if(length > 5, 1 / 0, 2)", "2"),
        ("max(length, width, 4) - min(1, 2)", "5"),
        ("length('abc') + length", "8"),
        ("days(moved_in, '2026') ", None),
        ("days(moved_in, date('2026-12-31'))", "34"),
        ("weekday(visit) * 100 + hour(visit)", "516"),
    ],
)
def test_numbers(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(FormulaError):
            value(text)
    else:
        assert value(text) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("walls + ', ' + text(length / 2)", "Brick, 2.5"),
        ("join(upper('a'), lower('B'), trim(' c '), nothing)", "Abc"),
        ("replace('a-b-c', '-', '+')", "a+b+c"),
        ("contains(walls, 'BRI') and not (length = 6)", True),
        ("length > 3 or 1 / 0 > 1", True),
        ("3 < length < width", True),
        ("nothing = ''", True),
        ("today()", date(2026, 11, 27)),
        ("dateadd(moved_in, '3d')", date(2026, 11, 30)),
        ("addworkdays(moved_in, 1)", date(2026, 11, 30)),
        ("workdateadd(visit, '4h')", datetime(2026, 11, 30, 11, 0, tzinfo=KYIV)),
        ("workdateadd(now(), '1d 1h')", datetime(2026, 11, 30, 17, 0, tzinfo=KYIV)),
        ("workdateadd(visit, '-3h')", datetime(2026, 11, 27, 13, 0, tzinfo=KYIV)),
        ("dateadd(visit, '2d 30m')", datetime(2026, 11, 29, 16, 30, tzinfo=KYIV)),
        ("visit < dateadd(visit, '1m')", True),
    ],
)
def test_texts_conditions_and_dates(text: str, expected: Value) -> None:
    assert value(text) == expected


def test_a_day_is_a_day_of_the_calendar_also_when_clocks_change() -> None:
    evening = {"at": datetime(2026, 10, 24, 18, 0, tzinfo=KYIV)}
    assert evaluate("dateadd(at, '1d')", evening, AROUND) == datetime(2026, 10, 25, 18, 0, tzinfo=KYIV)
    later = evaluate("dateadd(at, '24h')", evening, AROUND)
    assert later == datetime(2026, 10, 25, 17, 0, tzinfo=KYIV)


@pytest.mark.parametrize(
    ("text", "at", "code"),
    [
        ("", 1, "nothing"),
        ("  ", 1, "nothing"),
        ("length +", 8, "no_value_after"),
        ("length width", 8, "no_sign"),
        ("(length", 1, "open"),
        ("length)", 7, "close"),
        ("1,5", 2, "comma"),
        ("5м", 1, "number"),
        ("length.real", 7, "sign"),
        ("length[0]", 7, "sign"),
        ("'abc", 1, "quote"),
        ("* 2", 1, "no_value"),
        ("round(,)", 7, "no_value"),
        ("round(1,)", 9, "no_value"),
        ("2 * depth", 5, "no_field"),
        ("2 + nope(1)", 5, "no_function"),
        ("2 + round()", 5, "count"),
        ("2 (3)", 3, "no_sign"),
        ("()", 2, "no_value"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, at: int, code: str) -> None:
    problem = check(text, ROOM)[0]
    assert (problem.at, problem.code) == (at, code)
    with pytest.raises(FormulaError) as refused:
        value(text)
    assert (refused.value.problem.at, refused.value.problem.code) == (at, code)
    assert refused.value.at_field("quantity").field == "quantity"


def test_all_unknown_names_are_said_at_once() -> None:
    assert [(one.at, one.code) for one in check("a + length * foo(b)", ROOM)] == [
        (1, "no_field"),
        (14, "no_function"),
        (18, "no_field"),
    ]
    assert check("2 * length", ROOM) == []


@pytest.mark.parametrize(
    ("text", "at", "code"),
    [
        ("1 + length / (width - 6)", 5, "by_zero"),
        ("7 % 0", 1, "by_zero"),
        ("0 ^ (0 - 1)", 1, "by_zero"),
        ("length + nothing", 10, "empty_field"),
        ("length + walls", 1, "not_a_number"),
        ("length and walls", 1, "not_a_condition"),
        ("walls < length", 1, "compare"),
        ("moved_in < visit", 1, "compare"),
        ("2 ^ 0.5", 1, "power"),
        ("dateadd(visit, 'soon')", 1, "span"),
        ("dateadd(visit, '99999d')", 1, "far"),
        ("round(1, 7)", 1, "not_whole"),
        ("date('tomorrow')", 1, "date"),
        ("length / 3 * 10 ^ 16", 14, "too_large"),
    ],
)
def test_what_cannot_be_computed(text: str, at: int, code: str) -> None:
    assert check(text, ROOM) == []
    with pytest.raises(FormulaError) as refused:
        value(text)
    assert (refused.value.problem.code, refused.value.problem.at) == (code, at)


def test_a_quantity_must_be_a_number() -> None:
    assert evaluate_number("length", ROOM, AROUND) == 5
    with pytest.raises(FormulaError):
        evaluate_number("walls", ROOM, AROUND)


def test_dependencies_and_circles() -> None:
    assert dependencies("round(a * b) + if(c = 'a', a, 1)") == {"a", "b", "c"}
    assert dependencies("'length' + \"width\"") == frozenset()
    order = in_order({"price": "area * 2", "area": "side * side", "half": "area / 2 + price"})
    assert order.index("area") < order.index("price") < order.index("half")
    with pytest.raises(Circle) as circle:
        in_order({"a": "b + 1", "b": "c", "c": "a * 2", "d": "1"})
    assert circle.value.names[0] == circle.value.names[-1]
    assert set(circle.value.names) == {"a", "b", "c"}
    with pytest.raises(Circle):
        in_order({"a": "a + 1"})


def test_every_function_can_be_called_as_its_counts_say() -> None:
    for name, function in FUNCTIONS.items():
        for count in (function.least, function.most):
            assert check(f"{name}({', '.join(['length'] * count)})", ROOM) == []
        assert check(f"{name}({', '.join(['length'] * (function.most + 1))})", ROOM)[0].code == "count"


_NUMBERS = some.decimals(min_value=0, max_value=1000, places=3, allow_nan=False, allow_infinity=False)
_TREES: some.SearchStrategy[Any] = some.recursive(
    _NUMBERS | some.sampled_from(["length", "width"]),
    lambda inner: some.tuples(some.sampled_from("+-*/"), inner, inner),
    max_leaves=12,
)


def _written(tree: Any) -> str:
    if isinstance(tree, tuple):
        return f"({_written(tree[1])} {tree[0]} {_written(tree[2])})"
    return tree if isinstance(tree, str) else f"{tree:f}"


def _computed(tree: Any) -> Decimal:
    """The slow reference: the same arithmetic by hand."""
    if isinstance(tree, str):
        found = ROOM[tree]
        assert isinstance(found, Decimal)
        return found
    if not isinstance(tree, tuple):
        return Decimal(tree)
    left, right = _computed(tree[1]), _computed(tree[2])
    if tree[0] == "/":
        if not right:
            raise ZeroDivisionError
        return left / right
    return left + right if tree[0] == "+" else left - right if tree[0] == "-" else left * right


@given(_TREES)
def test_arithmetic_is_that_of_decimals(tree: Any) -> None:
    with localcontext(Context(prec=28, rounding=ROUND_HALF_UP)):
        try:
            expected: Decimal | None = _computed(tree)
        except ZeroDivisionError:
            expected = None
    try:
        found, refused = value(_written(tree)), ""
    except FormulaError as error:
        found, refused = None, error.problem.code
    if refused != "too_large":  # of a part
        assert found == expected
        assert (expected is None) is (refused == "by_zero")
