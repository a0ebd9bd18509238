"""Texts with formulas in them: ``Call {= client_name} about {= amount * 0.5}``. Pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal

from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.problems import CannotCompute, FormulaError, FormulaProblem
from pbxcrm.formulas.rules import check
from pbxcrm.shared.reasons import N_

BEGIN = "{="
NOT_CLOSED = N_("A formula begins here that no closing brace ends.")


def check_text(text: str, names: Collection[str]) -> list[FormulaProblem]:
    """What is wrong with the formulas in a text, over the fields ``names``; empty when nothing is. Places are counted in the whole text."""
    found: list[FormulaProblem] = []
    try:
        for piece, at in _pieces(text):
            found += check_piece(piece, at, names) if at else []
    except FormulaError as error:
        found.append(error.problem)
    return found


def check_piece(formula: str, at: int, names: Collection[str]) -> list[FormulaProblem]:
    """What is wrong with one formula, whose first character is the ``at``-th of its text."""
    return [FormulaProblem(at + each.at - 1, each.code, each.message, each.params) for each in check(formula, names)]


def filled(text: str, fields: Mapping[str, Value], around: FormulaTime) -> str:
    """The text with what its formulas give; an empty field is nothing. Raises FormulaError."""
    return "".join(said(evaluate(piece, fields, around), around) if at else piece for piece, at in _pieces(text))


def said(value: Value, around: FormulaTime) -> str:
    """A value as people read it: ``1500.5``, ``27.11.2026``, ``27.11.2026 16:00`` by the clock of the working hours. Raises FormulaError."""
    if value is None:
        return ""
    if isinstance(value, bool):
        raise CannotCompute("not_a_text", N_("Here a text is needed. Write if(…, …, …) around a condition.")).at(1)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(around.hours.timezone):%d.%m.%Y %H:%M}"
    return f"{value:%d.%m.%Y}" if isinstance(value, date) else value


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """The text in pieces: plain ones with 0, formulas with the place of their first character. Raises FormulaError for one without an end."""
    at = 0
    while (begin := text.find(BEGIN, at)) >= 0:
        yield text[at:begin], 0
        first, end = begin + len(BEGIN), end_of_formula(text, begin)
        yield text[first:end], first + 1
        at = end + 1
    yield text[at:], 0


def end_of_formula(text: str, begin: int) -> int:
    """Where the brace is that ends the formula whose ``BEGIN`` stands at ``begin``; one within quotation marks is a part of it. Raises FormulaError."""
    quote, at = "", begin + len(BEGIN)
    for place in range(at, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "}":
            return place
    raise FormulaError(FormulaProblem(begin + 1, "not_closed", NOT_CLOSED))
