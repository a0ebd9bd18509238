"""Checks of formulas without values: while one is typed, and of several that use each other."""

import ast
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

from pbxcrm.formulas.evaluating import check_count, no_function
from pbxcrm.formulas.functions import FUNCTIONS
from pbxcrm.formulas.problems import CannotCompute, FormulaError, FormulaProblem
from pbxcrm.formulas.reading import Formula, read
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.reasons import N_


def check(text: str, names: Collection[str]) -> list[FormulaProblem]:
    """What is wrong with a formula over the fields ``names``, in the order of the text; empty when nothing is.

    A formula that cannot be read has one problem; one that can be has one for each unknown field and function, and each function with too
    few or too many values.
    """
    try:
        formula = read(text)
    except FormulaError as error:
        return [error.problem]
    found: list[FormulaProblem] = []
    for node in ast.walk(formula.tree):
        try:
            _check_node(formula, node, names)
        except CannotCompute as wrong:
            found.append(wrong.at(formula.place_of(node)).problem)
    return sorted(found, key=lambda problem: problem.at)


def _check_node(formula: Formula, node: ast.AST, names: Collection[str]) -> None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = formula.functions[node.func.id]
        if name not in FUNCTIONS:
            raise no_function(name)
        check_count(name, len(node.args))
    elif isinstance(node, ast.Name) and formula.names.get(node.id, "") not in {"", *names}:
        raise CannotCompute(
            "no_field", N_("There is no field “{name}” here."), name=formula.names[node.id][:LONGEST_REPEATED]
        )


def dependencies(text: str) -> frozenset[str]:
    """The names of the fields that a formula reads. Raises FormulaError when it cannot be read."""
    return read(text).fields


class Circle(Exception):
    """Formulas need each other. ``names``: the circle, its first name again at the end."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" → ".join(names))
        self.names = names

    @property
    def problem(self) -> FormulaProblem:
        """The circle as what is wrong with one of its formulas."""
        return FormulaProblem(1, "circle", N_("These formulas need each other: {names}."), {"names": str(self)})


def in_order(formulas: Mapping[str, str]) -> list[str]:
    """The names of formulas that may use each other, each after those it uses. Raises Circle, and FormulaError."""
    needs = {name: dependencies(text) & formulas.keys() for name, text in formulas.items()}
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise Circle([str(name) for name in reversed(error.args[1])]) from None
