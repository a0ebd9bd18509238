"""Prices, discounts and changes of lines in plain words and as people type them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pbxcrm.audit.models import AuditEntry
from pbxcrm.formulas.problems import FormulaProblem
from web.formats import exact_number, money
from web.i18n import N_
from web.i18n import gettext as _

#: What of a line changed, by its column.
TOLD: Mapping[str, str] = {
    "name": N_("Name"),
    "quantity": N_("Quantity"),
    "price": N_("Price"),
    "discount_percent": N_("Discount, %"),
    "discount_money": N_("Discount"),
    "asked_percent": N_("Asked discount, %"),
    "asked_money": N_("Asked discount"),
    "vat_rate": N_("VAT, %"),
}


def plain(value: Decimal | None) -> str:
    """A number as it is typed into a field: ``2.5``, without zeros at the end."""
    return "" if value is None else f"{value.normalize():f}"


def discount(percent: Decimal | None, amount: Decimal | None, currency: str) -> str:
    """``5 %`` or an amount of money; empty for none."""
    if percent is not None:
        return f"{exact_number(percent)}\u00a0%"
    return money(amount, currency) if amount is not None else ""


def typed_discount(percent: Decimal | None, amount: Decimal | None) -> str:
    """A discount as it is typed into its field."""
    return f"{plain(percent)} %" if percent is not None else plain(amount)


def formula_problem(problem: FormulaProblem) -> str:
    """What is wrong with a formula, with its place."""
    said = _(problem.message).format(**problem.params)
    return _("character {at}: {problem}").format(at=problem.at, problem=said)


def lines_told(entry: AuditEntry, currency: str) -> list[str]:
    """What a change of lines did, a sentence per line."""
    told = [_told(each, currency) for each in entry.data.get("lines") or []]
    return [each for each in told if each]


def _told(each: Mapping[str, Any], currency: str) -> str:
    name = str(each.get("name") or "")
    if each.get("act") == "added":
        price = money(Decimal(each["price"]), currency)
        return f"+ {name}: {exact_number(Decimal(each['quantity']))} × {price}"
    if each.get("act") == "removed":
        return f"− {name}"
    changes = ", ".join(
        f"{_(TOLD[key])} {_value(change['before'])} → {_value(change['after'])}"
        for key, change in (each.get("changed") or {}).items()
        if key in TOLD
    )
    what = name or _("The whole deal")
    return f"{what}: {changes}"


def _value(stored: Any) -> str:
    if stored in {None, ""}:
        return "—"
    try:
        return exact_number(Decimal(str(stored)))
    except ArithmeticError:
        return str(stored)
