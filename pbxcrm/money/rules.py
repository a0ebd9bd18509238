"""The price of a deal, pure. Everything is a Decimal, and this is the only place that rounds money.

- A line is ``quantity × price``, less its own discount, rounded once to hundredths (half up). 100 % is exactly nothing.
- The discount on the whole is one amount. It is spread over the lines in proportion to what they cost, to the hundredth (largest remainder),
  so that the lines always add up to the total.
- Prices include VAT. The tax of a rate is computed from the sum of its lines, not line by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from pbxcrm.shared.errors import Invalid

ZERO = Decimal(0)
CENT = Decimal("0.01")
MILLIONTH = Decimal("0.000001")
WHOLE = Decimal(100)  # per cent
LARGEST_QUANTITY = Decimal(10**9)
LARGEST_PRICE = Decimal(10**11)
LARGEST_TOTAL = Decimal(10**13)


@dataclass(frozen=True, slots=True)
class Discount:
    """Per cent, or an amount for all of it; at most one of the two. Neither: no discount."""

    percent: Decimal | None = None
    money: Decimal | None = None

    def __bool__(self) -> bool:
        return bool(self.percent or self.money)

    def of(self, amount: Decimal) -> Decimal:
        """How much is taken off ``amount``, exactly; never more than it."""
        if self.percent is not None:
            return amount * self.percent / WHOLE
        return min(self.money or ZERO, amount)

    def share(self, amount: Decimal) -> Decimal:
        """The part of ``amount`` that is taken off, from 0 to 1."""
        if self.percent is not None:
            return self.percent / WHOLE
        return self.of(amount) / amount if amount else ZERO


NO_DISCOUNT = Discount()


@dataclass(frozen=True, slots=True)
class PricedLine:
    """What the price of a line depends on. ``vat_rate``: per cent, None for a line without VAT."""

    quantity: Decimal
    price: Decimal
    discount: Discount = NO_DISCOUNT
    vat_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LinePrice:
    """``gross``: without discounts. ``net``: less the line's own discount. ``total``: less its part of the discount on the whole, too."""

    gross: Decimal
    net: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class VatPart:
    """The VAT of one rate: ``amount`` is what its lines cost, ``vat`` the tax that this includes."""

    rate: Decimal
    amount: Decimal
    vat: Decimal


@dataclass(frozen=True, slots=True)
class DealPrice:
    """The lines in their order, and their sums. ``total`` is exactly the sum of the lines' totals."""

    lines: tuple[LinePrice, ...]
    gross: Decimal
    total: Decimal
    vat: tuple[VatPart, ...]

    @property
    def discount(self) -> Decimal:
        """How much cheaper it is than without discounts."""
        return self.gross - self.total


def cents(amount: Decimal) -> Decimal:
    """``amount`` in hundredths, half up. The one rounding of money."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def price_of(lines: Sequence[PricedLine], whole: Discount = NO_DISCOUNT) -> DealPrice:
    """The price of these lines with the discount on the ``whole``."""
    gross = [cents(line.quantity * line.price) for line in lines]
    nets = [
        cents(line.quantity * line.price - line.discount.of(line.quantity * line.price))
        if line.discount.percent is not None
        else full - line.discount.of(full)
        for line, full in zip(lines, gross, strict=True)
    ]
    parts = spread(cents(whole.of(sum(nets, ZERO))), nets)
    totals = [net - part for net, part in zip(nets, parts, strict=True)]
    priced = tuple(LinePrice(*each) for each in zip(gross, nets, totals, strict=True))
    return DealPrice(priced, sum(gross, ZERO), sum(totals, ZERO), _vat(lines, totals))


def spread(amount: Decimal, over: Sequence[Decimal]) -> list[Decimal]:
    """``amount``, at most the sum of ``over``, in parts in proportion to ``over``, in whole hundredths that add up to it exactly.

    Each part is first rounded down; the hundredths that are left go to the largest remainders, the earlier line first.
    """
    whole = sum(over, ZERO)
    if not amount or not whole:
        return [ZERO for _ in over]
    exact = [Fraction(amount * WHOLE) * Fraction(each) / Fraction(whole) for each in over]
    down = [int(each) for each in exact]
    left = int(amount * WHOLE) - sum(down)
    for place in sorted(range(len(exact)), key=lambda place: (down[place] - exact[place], place))[:left]:
        down[place] += 1
    return [(Decimal(each) / WHOLE).quantize(CENT) for each in down]


def _vat(lines: Sequence[PricedLine], totals: Sequence[Decimal]) -> tuple[VatPart, ...]:
    sums: dict[Decimal, Decimal] = {}
    for line, total in zip(lines, totals, strict=True):
        if line.vat_rate is not None:
            rate = line.vat_rate.quantize(CENT)
            sums[rate] = sums.get(rate, ZERO) + total
    return tuple(VatPart(rate, amount, cents(amount * rate / (WHOLE + rate))) for rate, amount in sorted(sums.items()))


def given_percent(line: PricedLine, list_price: Decimal | None, whole_share: Decimal) -> Decimal:
    """How many per cent cheaper the client gets a line than by the list, exactly: its discount, its part of the discount on the whole
    (``whole_share``, 0 to 1), and a price below the list price.
    """
    lowered = line.price / list_price if list_price and line.price < list_price else Decimal(1)
    kept = (1 - line.discount.share(cents(line.quantity * line.price))) * (1 - whole_share) * lowered
    return (1 - kept) * WHOLE


def check_quantity(value: Decimal | None, field: str) -> Decimal:
    """A quantity with at most six digits after the point. Raises Invalid at ``field``."""
    if value is None or not ZERO <= value < LARGEST_QUANTITY or value % MILLIONTH:
        raise Invalid(field, "money.quantity", "Write a quantity from 0, with at most six digits after the point.")
    return value.quantize(MILLIONTH)


def check_price(value: Decimal | None, field: str) -> Decimal:
    """A price in hundredths. Raises Invalid at ``field``."""
    if value is None or not ZERO <= value < LARGEST_PRICE or value % CENT:
        raise Invalid(field, "money.price", "Write a price from 0, with at most two digits after the point.")
    return value.quantize(CENT)


def check_rate(value: Decimal | None, field: str) -> Decimal | None:
    """A VAT rate in per cent; None for none. Raises Invalid at ``field``."""
    if value is None:
        return None
    if not ZERO <= value <= WHOLE or value % CENT:
        raise Invalid(field, "money.vat", "Write the VAT rate in per cent, from 0 to 100, or leave it empty.")
    return value.quantize(CENT)


def check_discount(percent: Decimal | None, money: Decimal | None, gross: Decimal, field: str) -> Discount:
    """A discount that was entered on ``gross``. Raises Invalid at ``field``."""
    if percent and money:
        raise Invalid(field, "money.discount_twice", "Give the discount in per cent or in money, not both.")
    if percent is not None and (not ZERO <= percent <= WHOLE or percent % CENT):
        raise Invalid(field, "money.percent", "Write a discount from 0 to 100 %.")
    if money is not None and (not ZERO <= money < LARGEST_PRICE or money % CENT):
        raise Invalid(field, "money.discount", "Write the discount as an amount, for example 50.00.")
    if money is not None and money > gross:
        raise Invalid(field, "money.discount_large", "The discount is larger than the price.")
    found = Discount(percent.quantize(CENT) if percent else None, money.quantize(CENT) if money else None)
    return found or NO_DISCOUNT


def read_discount(typed: str) -> tuple[Decimal | None, Decimal | None] | None:
    """``5 %`` as per cent, ``50`` as money, as people type it; None for what is neither. Empty: no discount."""
    plain = "".join(typed.split()).replace(",", ".")
    is_percent = plain.endswith("%")
    plain = plain.removesuffix("%")
    if not plain:
        return None if is_percent else (None, None)
    try:
        found = Decimal(plain)
    except ArithmeticError:
        return None
    if not found.is_finite():
        return None
    return (found, None) if is_percent else (None, found)
