"""Pure: a line and a discount before and after a change: what the history tells, and what undoes it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pbxcrm.audit.rules import differences
from pbxcrm.money.models import DealDiscount, DealLine

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
#: What of a line is told in the history.
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


def key_of(row: DealLine | DealDiscount) -> int:
    """The id of a line; 0 for the discount on the whole."""
    return (row.id or 0) if isinstance(row, DealLine) else 0


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


def is_as_left(row: DealLine | DealDiscount, left: Mapping[str, Any]) -> bool:
    """Whether a row is as ``left`` says. Its place may have changed, and so may a quantity that its formula computed again."""
    free = {"position", "quantity"} if left.get("formula") else {"position"}
    return all(value == left[name] for name, value in snapshot(row).items() if name not in free and name in left)


def _changed(before: Snapshot | None, after: Snapshot) -> dict[str, Any]:
    """What people read of a change of a row: the told values that differ."""
    was, told = before or {}, [name for name in TOLD if name in after]
    return differences({name: was.get(name) for name in told}, {name: after[name] for name in told})


def told_of(row: DealLine | DealDiscount, was: Snapshot | None, after: Snapshot) -> dict[str, Any]:
    """What people read of the change of a row: the act, the name, and values before and after; empty where they need not know."""
    if isinstance(row, DealDiscount):
        changed = _changed(was, after)
        return {"act": "whole", "changed": changed} if changed else {}
    if was is None or (was["removed_at"] and not after["removed_at"]):
        return {"act": "added", "name": row.name, "quantity": after["quantity"], "price": after["price"]}
    if after["removed_at"]:
        return {"act": "removed", "name": row.name}
    changed = _changed(was, after)
    return {"act": "changed", "name": row.name, "changed": changed} if changed else {}
