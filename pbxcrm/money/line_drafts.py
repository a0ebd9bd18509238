"""A line and a discount as they were entered, before they are checked; pages, the API and templates fill them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class SameProduct(StrEnum):
    """What happens when a product is added that the deal has already."""

    SUM = "sum"  # one line with both quantities
    ADD = "add"  # a second line
    SKIP = "skip"  # it stays as it is


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line as it was entered. With a product, an empty name, unit and price are its own. ``formula`` comes before ``quantity``.

    ``why``: the reason, where the discount needs approval. ``line_id``: a line that is there already, for ``set_lines``.
    """

    product_id: int | None = None
    name: str = ""
    unit: str = ""
    quantity: Decimal | None = None
    formula: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    price: Decimal | None = None
    vat_rate: Decimal | None = None
    percent: Decimal | None = None
    money: Decimal | None = None
    why: str = ""
    line_id: int | None = None


@dataclass(frozen=True, slots=True)
class WholeDraft:
    """The discount on the whole deal as it was entered, with the reason where it needs approval."""

    percent: Decimal | None = None
    money: Decimal | None = None
    why: str = ""
