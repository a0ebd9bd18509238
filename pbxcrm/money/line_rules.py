"""Pure: what a line is as values, for the audit log and for undo, and what a change of lines comes to."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.evaluating import evaluate, evaluate_number
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.formulas.rules import Circle, in_order
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.rules import MILLIONTH
from pbxcrm.shared.reasons import N_

#: The columns that people change, in the order in which a change is told.
LINE = (
    "product_id",
    "position",
    "name",
    "unit",
    "quantity",
    "formula",
    "inputs",
    "price",
    "list_price",
    "vat_rate",
    "discount_percent",
    "discount_money",
    "asked_percent",
    "asked_money",
    "asked_why",
    "asked_by_id",
    "removed_at",
)
WHOLE_DEAL = tuple(name for name in LINE if name in DealDiscount.model_fields)
_DECIMALS = frozenset(
    {
        "quantity",
        "price",
        "list_price",
        "vat_rate",
        "discount_percent",
        "discount_money",
        "asked_percent",
        "asked_money",
    }
)
#: What of a line is told in the history, with the key of its name there.
TOLD = (
    "name",
    "quantity",
    "price",
    "discount_percent",
    "discount_money",
    "asked_percent",
    "asked_money",
    "vat_rate",
)

Snapshot = dict[str, Any]


def snapshot(row: DealLine | DealDiscount) -> Snapshot:
    """The values of a row as JSON."""
    names = LINE if isinstance(row, DealLine) else WHOLE_DEAL
    return {name: _plain(name, getattr(row, name)) for name in names}


def _plain(name: str, value: Any) -> Any:
    if name == "removed_at":
        return value is not None
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return dict(value) if name == "inputs" else value


def put_back(row: DealLine | DealDiscount, was: Mapping[str, Any]) -> None:
    """Give a row the values of a snapshot; a removed line is removed again by the caller, who knows the time."""
    for name, value in was.items():
        if name == "removed_at":
            continue
        setattr(row, name, Decimal(value) if name in _DECIMALS and value is not None else value)


def clear_asked(row: DealLine | DealDiscount) -> None:
    """Nothing is asked for any more."""
    row.asked_percent, row.asked_money, row.asked_why, row.asked_by_id = None, None, "", None


def told_change(before: Snapshot | None, after: Snapshot) -> dict[str, Any]:
    """What people read of a change of a line: ``{key: {before, after}}`` of the told values."""
    was = before or {}
    return {
        name: {"before": was.get(name), "after": after.get(name)}
        for name in TOLD
        if name in after and was.get(name) != after.get(name)
    }


def discount_text(percent: Decimal | None, money: Decimal | None, currency: str) -> str:
    """A discount as it stands in a reason: ``15 %`` or ``500.00 UAH``."""
    if percent is not None:
        return f"{percent.normalize():f} %"
    return f"{money or Decimal(0):.2f} {currency}"


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
        said = FormulaProblem(1, "circle", N_("These formulas need each other: {names}."), {"names": str(circle)})
        raise FormulaError(said) from None
    for name in order:
        known[name] = evaluate(formulas[name], known, around)
    return known


def quantity_by(formula: str, inputs: Mapping[str, str], fields: Mapping[str, Value], around: FormulaTime) -> Decimal:
    """The quantity that a formula gives, in millionths. Raises FormulaError."""
    found = evaluate_number(formula, named_values(inputs, fields, around), around)
    return found.quantize(MILLIONTH, rounding=ROUND_HALF_UP)


def problem_of(line: DealLine, fields: Mapping[str, Value], around: FormulaTime) -> FormulaProblem | None:
    """Why the formula of a line cannot be computed any more; None where it can."""
    try:
        quantity_by(line.formula, line.inputs, fields, around)
    except FormulaError as error:
        return error.problem
    return None


def told_of(row: DealLine | DealDiscount, was: Snapshot | None, after: Snapshot) -> dict[str, Any]:
    """What people read of the change of a row: the act, the name, and values before and after; empty where they need not know."""
    if isinstance(row, DealDiscount):
        changed = told_change(was, after)
        return {"act": "whole", "changed": changed} if changed else {}
    if was is None or (was["removed_at"] and not after["removed_at"]):
        return {"act": "added", "name": row.name, "quantity": after["quantity"], "price": after["price"]}
    if after["removed_at"]:
        return {"act": "removed", "name": row.name}
    changed = told_change(was, after)
    return {"act": "changed", "name": row.name, "changed": changed} if changed else {}
