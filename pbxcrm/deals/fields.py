"""The fields of a deal that people fill in, each declared once.

Forms, the models of the API, the audit log, history and what a new deal takes derive from ``FIELDS``. One more field is a line
here, its column in ``models.Deal`` and a migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pbxcrm.deals.models import Deal
from pbxcrm.deals.rules import check_amount, check_title
from pbxcrm.shared.lengths import check_optional_text, longest
from pbxcrm.shared.reasons import N_

Value = str | Decimal | None


class FieldKind(StrEnum):
    """How a field is typed, checked and shown."""

    TEXT = "text"
    AMOUNT = "amount"  # money in the deal's currency; may be empty


@dataclass(frozen=True, slots=True)
class DealField:
    """``key`` is the column and the name in forms, API and audit; ``name`` is English, for pages to translate."""

    key: str
    name: str
    kind: FieldKind
    required: bool = False
    asked_first: bool = False  # the form of a new deal asks for it

    @property
    def max_length(self) -> int | None:
        """Letters, as the column says; None for an amount."""
        return longest(getattr(Deal, self.key)) if self.kind is FieldKind.TEXT else None

    def check(self, value: Value) -> Value:
        """The value as it is stored; raises Invalid at ``key``."""
        if self.kind is FieldKind.AMOUNT:
            return check_amount(value)
        text = str(value or "")
        return check_title(text) if self.required else check_optional_text(text, getattr(Deal, self.key), self.key)


TITLE = DealField("title", N_("Title"), FieldKind.TEXT, required=True, asked_first=True)
FIELDS: tuple[DealField, ...] = (
    TITLE,
    DealField("amount", N_("Amount"), FieldKind.AMOUNT, asked_first=True),
    DealField("source", N_("Source"), FieldKind.TEXT),
)
BY_KEY: Mapping[str, DealField] = {field.key: field for field in FIELDS}


def apply(deal: Deal, values: Mapping[str, Value]) -> dict[str, Any]:
    """Set what is given and differs; ``{key: {"before", "after"}}`` of what changed, as the audit log keeps it."""
    changed: dict[str, Any] = {}
    for key, value in values.items():
        was, new = getattr(deal, key), BY_KEY[key].check(value)
        if new != was:
            setattr(deal, key, new)
            changed[key] = {"before": _told(was), "after": _told(new)}
    return changed


def values_of(deal: Deal) -> dict[str, Any]:
    """Every field of a deal by its key."""
    return {field.key: getattr(deal, field.key) for field in FIELDS}


def _told(value: Value) -> str | None:
    return str(value) if value is not None else None
