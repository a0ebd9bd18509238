"""The fields of a deal that people fill in, each declared once.

Forms, API models, filters and conditions, the columns of the list and of its files, merges, what a stage may require, the audit log, the
history and the keys that custom fields may not have derive from ``FIELDS``. A new field needs a line here, a column in
``models.Deal`` and a migration; ``tests/integration/deals/test_a_new_field.py`` adds one and walks through all of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pbxcrm.deals.models import Deal
from pbxcrm.deals.rules import check_amount, check_title
from pbxcrm.fields.rules import check_moment
from pbxcrm.shared.lengths import check_optional_text, longest
from pbxcrm.shared.reasons import N_

Value = str | Decimal | datetime | None


class FieldKind(StrEnum):
    """The type of a field, which decides how it is entered, checked and shown."""

    TEXT = "text"
    AMOUNT = "amount"  # money in the deal's currency; may be empty
    MOMENT = "moment"  # a date with its time; may be empty


@dataclass(frozen=True, slots=True)
class DealField:
    """``key`` is the column and the name in forms, API and audit log; ``name`` is English, and pages translate it."""

    key: str
    name: str
    kind: FieldKind
    required: bool = False
    asked_first: bool = False  # the form of a new deal asks for it

    @property
    def max_length(self) -> int | None:
        """The length of the column in characters; None for an amount or a moment."""
        return longest(getattr(Deal, self.key)) if self.kind is FieldKind.TEXT else None

    def check(self, value: Value) -> Value:
        """The checked value as it is stored. Raises Invalid at ``key``."""
        if self.kind is FieldKind.AMOUNT:
            return check_amount(None if isinstance(value, datetime) else value, self.key)
        if self.kind is FieldKind.MOMENT:
            return check_moment(value if isinstance(value, datetime | None) else str(value), self.key)
        text = str(value or "")
        return check_title(text) if self.required else check_optional_text(text, getattr(Deal, self.key), self.key)


TITLE = DealField("title", N_("Title"), FieldKind.TEXT, required=True, asked_first=True)
PROPOSAL = DealField("proposal_until", N_("Proposal expires"), FieldKind.MOMENT)
INVOICE = DealField("invoice_until", N_("Invoice expires"), FieldKind.MOMENT)
EVENT = DealField("event_at", N_("Event"), FieldKind.MOMENT)
FIELDS: tuple[DealField, ...] = (
    TITLE,
    DealField("amount", N_("Amount"), FieldKind.AMOUNT, asked_first=True),
    DealField("source", N_("Source"), FieldKind.TEXT),
    PROPOSAL,
    INVOICE,
    EVENT,
    DealField("survey_at", N_("Survey"), FieldKind.MOMENT),
)
#: The texts that many deals share, which lists are narrowed by with a choice of those that occur.
SHARED_TEXTS: tuple[DealField, ...] = tuple(
    field for field in FIELDS if field.kind is FieldKind.TEXT and not field.required
)
#: The keys of the fields that hold a date.
MOMENTS: tuple[str, ...] = tuple(field.key for field in FIELDS if field.kind is FieldKind.MOMENT)
CLIENT_NAME = N_("Client")  # `contact_id`, which a stage may require like a field
BY_KEY: Mapping[str, DealField] = {field.key: field for field in FIELDS}


def is_filled(value: Value) -> bool:
    """Whether somebody has filled in a field with this value. An amount of nothing says as little as an empty one."""
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value != 0


def was_filled(key: str, told: str | None) -> bool:
    """The same for a value as the audit log has it."""
    if told and key in BY_KEY and BY_KEY[key].kind is FieldKind.AMOUNT:
        return is_filled(Decimal(told))
    return is_filled(told)


def name_of_field(key: str) -> str:
    """The English name of a field that a stage may require; pages translate it."""
    return BY_KEY[key].name if key in BY_KEY else CLIENT_NAME if key == "contact_id" else key


def apply_values(deal: Deal, values: Mapping[str, Value]) -> dict[str, Any]:
    """Set the given values that differ. Returns ``{key: {"before", "after"}}`` of the changes, for the audit log. Raises Invalid."""
    changed: dict[str, Any] = {}
    for key, value in values.items():
        was, new = getattr(deal, key), BY_KEY[key].check(value)
        if new != was:
            setattr(deal, key, new)
            changed[key] = {"before": _told(was), "after": _told(new)}
    return changed


def values_of(deal: Deal) -> dict[str, Any]:
    """The values of all ``FIELDS`` of a deal, by key."""
    return {field.key: getattr(deal, field.key) for field in FIELDS}


def _told(value: Value) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if value is not None else None
