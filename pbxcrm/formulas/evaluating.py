"""Evaluates a formula: simpleeval walks the tree with the few operations that are named here; no other is possible.

There are no loops, and texts, numbers, exponents and the tree have their largest sizes, so the worst formula takes milliseconds
(``tests/unit/formulas/test_hostile.py`` measures it).
"""

import ast
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any

from simpleeval import SimpleEval

from pbxcrm.formulas.functions import FUNCTIONS, LARGEST, FormulaTime, Value, kind_of, made, number, yes_no
from pbxcrm.formulas.problems import CannotCompute, FormulaError
from pbxcrm.formulas.reading import Formula, read
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.reasons import N_

MOST_POWER = 20  # the largest exponent
TOO_LARGE = N_("The number becomes too large.")
_CONTEXT = Context(
    prec=28, rounding=ROUND_HALF_UP, Emin=-60, Emax=60, traps=[DivisionByZero, InvalidOperation, Overflow]
)


def evaluate(text: str, fields: Mapping[str, Value], around: FormulaTime) -> Value:
    """The value of a formula. Raises FormulaError for one that cannot be read, a field that is not there, and for what cannot be computed."""
    return evaluate_read(read(text), fields, around)


def evaluate_read(formula: Formula, fields: Mapping[str, Value], around: FormulaTime) -> Value:
    """The same for a formula that has been read."""
    with localcontext(_CONTEXT):
        found: Value = _Evaluator(formula, fields, around).eval(formula.text, formula.tree)
    return found


def evaluate_number(text: str, fields: Mapping[str, Value], around: FormulaTime) -> Decimal:
    """The value of a formula that must give a number. Raises FormulaError."""
    try:
        return number(evaluate(text, fields, around))
    except CannotCompute as wrong:
        raise wrong.at(1) from None


class _Evaluator(SimpleEval):  # type: ignore[misc]  # simpleeval has no types
    def __init__(self, formula: Formula, fields: Mapping[str, Value], around: FormulaTime) -> None:
        super().__init__(operators={}, functions={}, names={})
        self.formula, self.fields, self.around = formula, fields, around
        self.nodes = {
            ast.Name: self._name,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.BoolOp: self._both,
            ast.Compare: self._compare,
            ast.Call: self._call,
        }

    def _eval(self, node: ast.expr) -> Value:
        """Every problem gets the place of the innermost operation that had it."""
        try:
            return _not_too_large(super()._eval(node))
        except CannotCompute as wrong:
            raise wrong.at(self.formula.place_of(node)) from None
        except DivisionByZero:
            raise CannotCompute("by_zero", N_("A division by zero.")).at(self.formula.place_of(node)) from None
        except (InvalidOperation, Overflow):
            raise CannotCompute("too_large", TOO_LARGE).at(self.formula.place_of(node)) from None

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.formula.constants:
            return self.formula.constants[node.id]
        name = self.formula.names[node.id]
        if name not in self.fields:
            raise CannotCompute("no_field", N_("There is no field “{name}” here."), name=name)
        return self.fields[name]

    def _needed(self, node: ast.expr) -> Value:
        """The value of an operand, which must not be empty."""
        found = self._eval(node)
        if found is None:
            name = self.formula.names.get(node.id, "") if isinstance(node, ast.Name) else ""
            raise CannotCompute("empty_field", N_("“{name}” is empty."), name=name or "…").at(
                self.formula.place_of(node)
            )
        return found

    def _unary(self, node: ast.UnaryOp) -> Value:
        found = self._needed(node.operand)
        if isinstance(node.op, ast.Not):
            return not yes_no(found)
        return -number(found) if isinstance(node.op, ast.USub) else number(found)

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self._needed(node.left), self._needed(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str):
            return made(left + right)
        return _ARITHMETIC[type(node.op)](number(left), number(right))

    def _both(self, node: ast.BoolOp) -> Value:
        ends_at = isinstance(node.op, ast.Or)  # the first true ends an "or", the first false an "and"
        for each in node.values:
            if yes_no(self._needed(each)) is ends_at:
                return ends_at
        return not ends_at

    def _compare(self, node: ast.Compare) -> Value:
        left = self._eval(node.left)
        for sign, each in zip(node.ops, node.comparators, strict=True):
            right = self._eval(each)
            if not _COMPARISONS[type(sign)](*_comparable(left, right, sign)):
                return False
            left = right
        return True

    def _call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)
        name = self.formula.functions[node.func.id]
        function = FUNCTIONS.get(name)
        if function is None:
            raise no_function(name)
        check_count(name, len(node.args))
        if function.call is None:
            test, then, otherwise = node.args
            return self._eval(then if yes_no(self._needed(test)) else otherwise)
        return function.call(self.around, *(self._eval(each) for each in node.args))


def _not_too_large(value: Value) -> Value:
    if isinstance(value, Decimal) and abs(value) > LARGEST:
        raise CannotCompute("too_large", TOO_LARGE)
    return value


def no_function(name: str) -> CannotCompute:
    """The error of a function that there is not."""
    return CannotCompute("no_function", N_("There is no function “{name}”."), name=name[:LONGEST_REPEATED])


def check_count(name: str, count: int) -> None:
    """Raise CannotCompute for a known function that is given too few or too many values."""
    function = FUNCTIONS[name]
    if not function.least <= count <= function.most:
        needed = str(function.least) if function.least == function.most else f"{function.least}–{function.most}"
        raise CannotCompute(
            "count", N_("“{name}” takes {needed} values, not {count}."), name=name, needed=needed, count=count
        )


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if exponent % 1 or abs(exponent) > MOST_POWER:
        raise CannotCompute("power", N_("An exponent is a whole number up to {most}."), most=MOST_POWER)
    if not base and exponent < 0:
        raise CannotCompute("by_zero", N_("A division by zero."))
    return base ** int(exponent)


def _divide(left: Decimal, right: Decimal) -> Decimal:
    if not right:
        raise CannotCompute("by_zero", N_("A division by zero."))
    return left / right


def _remainder(left: Decimal, right: Decimal) -> Decimal:
    if not right:
        raise CannotCompute("by_zero", N_("A division by zero."))
    return left % right


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: _divide,
    ast.Mod: _remainder,
    ast.Pow: _power,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Lt: lambda left, right: left < right,
    ast.LtE: lambda left, right: left <= right,
    ast.Gt: lambda left, right: left > right,
    ast.GtE: lambda left, right: left >= right,
}


def _comparable(left: Value, right: Value, sign: ast.cmpop) -> tuple[Any, Any]:
    """Both, when they can be compared: of one kind. Texts are equal without regard to capitals; an empty field equals only an empty text."""
    equality = isinstance(sign, ast.Eq | ast.NotEq)
    if isinstance(left, str) or isinstance(right, str):
        left, right = left if left is not None else "", right if right is not None else ""
    if equality and (left is None or right is None):
        return left, right
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold(), right.casefold()
    if (
        isinstance(left, datetime) is not isinstance(right, datetime)
        and isinstance(left, date)
        and isinstance(right, date)
    ):
        raise CannotCompute("compare", N_("A date with a time cannot be compared with one without."))
    if kind_of(left) != kind_of(right) or left is None or (isinstance(left, bool) and not equality):
        raise CannotCompute("compare", N_("These two cannot be compared: they are of different kinds."))
    return left, right


__all__ = ["FormulaError", "check_count", "evaluate", "evaluate_number", "evaluate_read", "no_function"]
