"""Formulas of people who mean harm: nothing runs, nothing hangs, and every answer is a plain word."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pbxcrm.calendars.working_time import ROUND_THE_CLOCK
from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import LONGEST_TEXT, FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.reading import LONGEST
from pbxcrm.formulas.rules import check

AROUND = FormulaTime(datetime(2026, 11, 28, tzinfo=UTC), ROUND_THE_CLOCK)
FIELDS: dict[str, Value] = {"a": Decimal(3), "words": "x" * LONGEST_TEXT}
LONGEST_TIME = 0.1  # seconds of processor time; the worst takes a few milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "a.__class__",
        "a.__class__.__mro__[1].__subclasses__()",
        "().__class__",
        "__import__('os').system('id')",
        "__builtins__",
        "lambda: 1",
        "[x for x in (1, 2)]",
        "{'a': 1}",
        "f'{a}'",
        "b'a'",
        "a if 1 else 2",
        "(a := 3)",
        "a; import os",
        "import os",
        "a\n\nb",
        "eval('1')",
        "open('/etc/passwd')",
        "getattr(a, 'real')",
        "*a",
        "max(*a)",
        "round(**a)",
        "round(a=1)",
        "a @ a",
        "a << 4",
        "~a",
        "a is a",
        "1e999",
        "0x10",
        "1_000",
        "1j",
        "nan",
        "inf",
        "\x00",
        "\ud800",
        "if(1, 2)",
        "if()",
        "n0",
        "c1 + f1(2)",
        "Decimal",
        "９ + ９",
    ],
)
def test_no_python_passes(text: str) -> None:
    with pytest.raises(FormulaError):
        evaluate(text, FIELDS, AROUND)
    assert check(text, FIELDS) or text == "round(a=1)"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "1+" * 50_000 + "1",
        "(" * 100_000,
        "(" * (LONGEST - 1) + "1",
        "-" * (LONGEST - 1) + "1",
        "not " * 240 + "true",
        "1" + "+1" * ((LONGEST - 1) // 2),
        "2" + "**2" * 300,
        "9**9**9",
        "9**9**9**9",
        "(9**20)**20",
        "10**15*10**15",
        "9" * 999,
        "0." + "1" * 900,
        "if(" * 200 + "true" + ",1,2)" * 100,
        "words + words",
        "join(words, words)",
        "replace(words, 'x', words)",
        "replace(words, 'x', 'xx')",
        "upper(words) + 'x'",
        "dateadd(now(), '999999d')",
        "workdateadd(now(), '-3660d 999999h')",
        "addworkdays(today(), 99999999)",
        "round(1, 999999999)",
        "1/0",
        "0^-1",
        "1 % 0",
        "'" + "x" * 990,
    ],
)
def test_nothing_hangs(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(FormulaError):
        evaluate(text, FIELDS, AROUND)
    assert time.process_time() - begun < LONGEST_TIME


def test_the_worst_that_is_allowed_is_quick() -> None:
    worst = "max(" + ", ".join(["round(a / 5 ^ 20, 6)"] * 18) + ") + " + " + ".join(["a ^ 20 / 5 ^ 20"] * 20)
    assert check(worst, FIELDS) == []
    long = "length(join(" + ", ".join(["replace(words, 'x', 'y')"] * 1) + ")) + 1"
    begun = time.process_time()
    evaluate(worst, FIELDS, AROUND)
    assert evaluate(long, FIELDS, AROUND) == LONGEST_TEXT + 1
    assert time.process_time() - begun < LONGEST_TIME


@given(some.text(max_size=60) | some.text("a1.5+-*/^()<>=,;'\" ifnotandor_", max_size=60))
def test_any_text_has_a_value_or_a_plain_word(text: str) -> None:
    refused = None
    try:
        evaluate(text, FIELDS, AROUND)
    except FormulaError as error:
        refused = error
    assert refused is None or (1 <= refused.problem.at <= max(1, len(text)) and str(refused))
