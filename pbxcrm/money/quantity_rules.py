"""Pure: quantities by formulas, over named values that were entered and fields of the deal."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.evaluating import evaluate, evaluate_number
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.formulas.rules import Circle, in_order
from pbxcrm.money.models import DealLine
from pbxcrm.money.rules import MILLIONTH
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line

MOST_INPUTS = 20  # of one line
LONGEST_INPUT = 100


def check_inputs(entered: Mapping[str, str], place: str) -> dict[str, str]:
    """The named values of a formula as they are stored. Raises Invalid at ``place``."""
    if len(entered) > MOST_INPUTS:
        raise Invalid(place, "money.inputs", "At most {most} values can be given.", most=MOST_INPUTS)
    found = {one_line(name): one_line(str(value)) for name, value in entered.items()}
    if any(len(each) > LONGEST_INPUT for pair in found.items() for each in pair):
        raise Invalid(place, "form.too_long", "Write at most {most} characters.", most=LONGEST_INPUT)
    return found


def named_values(inputs: Mapping[str, str], fields: Mapping[str, Value], around: FormulaTime) -> dict[str, Value]:
    """``fields`` and what was entered for the inputs of a line: a number where it can be read as one; a formula over the others where it
    begins with ``=``; else a text. Raises FormulaError.
    """
    known = dict(fields)
    formulas = {name: typed[1:] for name, typed in inputs.items() if typed.startswith("=")}
    for name, typed in inputs.items():
        number = read_decimal(typed)
        known[name] = number if number is not None else (typed.strip() or None)
    try:
        order = in_order(formulas)
    except Circle as circle:
        raise FormulaError(circle.problem) from None
    for name in order:
        known[name] = evaluate(formulas[name], known, around)
    return known


def quantity_by(formula: str, inputs: Mapping[str, str], fields: Mapping[str, Value], around: FormulaTime) -> Decimal:
    """The quantity of a line with a formula: over its inputs and the fields of the deal. Raises FormulaError."""
    return quantity_over(formula, named_values(inputs, fields, around), around)


def quantity_over(formula: str, known: Mapping[str, Value], around: FormulaTime) -> Decimal:
    """What a formula over ``known`` gives, in whole millionths. Raises FormulaError."""
    return evaluate_number(formula, known, around).quantize(MILLIONTH, rounding=ROUND_HALF_UP)


def problem_of(line: DealLine, fields: Mapping[str, Value], around: FormulaTime) -> FormulaProblem | None:
    """Why the formula of a line cannot be computed any more; None where it can."""
    try:
        quantity_by(line.formula, line.inputs, fields, around)
    except FormulaError as error:
        return error.problem
    return None
