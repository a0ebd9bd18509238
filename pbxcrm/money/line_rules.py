"""Pure: the lines of a deal and their discounts as the rules of prices see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.rules import DealPrice, Discount, PricedLine, price_of


@dataclass(frozen=True, slots=True)
class DealLines:
    """The lines of a deal in their order, the discount on the whole (its row may not be stored), and what all of it costs."""

    lines: tuple[DealLine, ...]
    whole: DealDiscount
    price: DealPrice


def priced(lines: Sequence[DealLine], whole: DealDiscount) -> DealLines:
    """The lines with their price. Discounts that are only asked for do not count."""
    return DealLines(tuple(lines), whole, price_of([as_priced(line) for line in lines], discount_of(whole)))


def cost_of(lines: Sequence[DealLine]) -> Decimal:
    """What the lines cost without a discount on the whole."""
    return sum((each.net for each in price_of([as_priced(line) for line in lines]).lines), Decimal(0))


def gives_more(wanted: Discount, lines: Sequence[DealLine], whole: DealDiscount) -> bool:
    """Whether a discount on the whole is larger than the one that is there, and than the one that is asked for."""
    cost = cost_of(lines)
    return wanted.share(cost) > max(discount_of(whole).share(cost), asked_of(whole).share(cost))


def as_priced(line: DealLine) -> PricedLine:
    """A line as the rules of prices see it."""
    return PricedLine(line.quantity, line.price, discount_of(line), line.vat_rate)


def discount_of(row: DealLine | DealDiscount) -> Discount:
    """The discount that counts."""
    return Discount(row.discount_percent, row.discount_money)


def asked_of(row: DealLine | DealDiscount) -> Discount:
    """The discount that waits for a manager."""
    return Discount(row.asked_percent, row.asked_money)


def clear_asked(row: DealLine | DealDiscount) -> None:
    """Nothing is asked for any more."""
    row.asked_percent, row.asked_money, row.asked_why, row.asked_by_id = None, None, "", None


def discount_text(percent: Decimal | None, money: Decimal | None, currency: str) -> str:
    """A discount as it stands in a reason: ``15 %`` or ``500.00 UAH``."""
    if percent is not None:
        return f"{percent.normalize():f} %"
    return f"{money or Decimal(0):.2f} {currency}"
