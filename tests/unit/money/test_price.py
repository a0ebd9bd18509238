"""The price of a deal: rounding, discounts, VAT; to the last hundredth."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pbxcrm.money.rules import (
    CENT,
    Discount,
    PricedLine,
    check_discount,
    check_price,
    check_quantity,
    check_rate,
    given_percent,
    price_of,
    read_discount,
    spread,
)
from pbxcrm.shared.errors import Invalid


def line(quantity: str, price: str, percent: str = "", money: str = "", vat: str = "") -> PricedLine:
    discount = Discount(Decimal(percent) if percent else None, Decimal(money) if money else None)
    return PricedLine(Decimal(quantity), Decimal(price), discount, Decimal(vat) if vat else None)


@pytest.mark.parametrize(
    ("of", "total"),
    [
        (line("3", "33.335"), "100.01"),
        (line("66", "245.50"), "16203.00"),
        (line("66", "245.50", percent="5"), "15392.85"),
        (line("1.5", "0.01"), "0.02"),
        (line("10", "99.99", percent="100"), "0.00"),
        (line("0.333333", "0.01", percent="100"), "0.00"),
        (line("2", "50", money="30"), "70.00"),
        (line("2", "50", money="500"), "0.00"),
        (line("0", "50"), "0.00"),
        (line("1", "0.05", percent="10"), "0.05"),  # 0.045
    ],
)
def test_a_line(of: PricedLine, total: str) -> None:
    found = price_of([of])
    assert str(found.lines[0].total) == total
    assert found.total == Decimal(total)


def test_the_discount_on_the_whole_is_spread_to_the_hundredth() -> None:
    lines = [line("1", "10.00"), line("1", "10.00"), line("1", "10.00")]
    found = price_of(lines, Discount(money=Decimal("10.00")))
    assert [each.total for each in found.lines] == [Decimal("6.66"), Decimal("6.67"), Decimal("6.67")]
    assert found.total == Decimal("20.00")
    assert found.discount == Decimal("10.00")
    assert price_of(lines, Discount(percent=Decimal(100))).total == 0


def test_vat_is_computed_from_the_sum_of_a_rate() -> None:
    found = price_of([line("1", "0.10", vat="20")] * 3 + [line("1", "107", vat="7"), line("1", "5")])
    assert [(part.rate, part.amount, part.vat) for part in found.vat] == [
        (Decimal("7.00"), Decimal("107.00"), Decimal("7.00")),
        (Decimal("20.00"), Decimal("0.30"), Decimal("0.05")),  # not three times 0.02
    ]


_PERCENT = some.decimals(0, 100, places=2)
_MONEY = some.decimals(0, 10_000, places=2)
_DISCOUNTS = some.one_of(
    some.just(Discount()), _PERCENT.map(lambda one: Discount(percent=one)), _MONEY.map(lambda one: Discount(money=one))
)
_LINES = some.lists(
    some.builds(
        PricedLine,
        some.decimals(0, 10_000, places=6),
        some.decimals(0, 100_000, places=2),
        _DISCOUNTS,
        some.sampled_from([None, Decimal(0), Decimal(7), Decimal(20)]),
    ),
    max_size=12,
)


@given(_LINES, _DISCOUNTS)
def test_the_lines_add_up_to_the_total(lines: list[PricedLine], whole: Discount) -> None:
    found = price_of(lines, whole)
    assert sum((each.total for each in found.lines), Decimal(0)) == found.total
    nets = sum((each.net for each in found.lines), Decimal(0))
    expected = (
        nets * (1 - whole.percent / 100) if whole.percent is not None else nets - min(whole.money or Decimal(0), nets)
    )
    assert abs(found.total - expected) <= CENT / 2
    for each in found.lines:
        assert 0 <= each.total <= each.net <= each.gross
        assert each.total == each.total.quantize(CENT)
    taxed = sum((one.total for one, of in zip(found.lines, lines, strict=True) if of.vat_rate is not None), Decimal(0))
    assert sum((part.amount for part in found.vat), Decimal(0)) == taxed
    if whole.percent == 100:
        assert found.total == 0


@given(some.lists(some.decimals(0, 100_000, places=2), min_size=1, max_size=20), some.decimals(0, 1, places=4))
def test_no_part_is_further_than_a_hundredth_from_its_share(over: list[Decimal], part: Decimal) -> None:
    whole = sum(over, Decimal(0))
    amount = (whole * part).quantize(CENT)
    parts = spread(min(amount, whole), over)
    assert sum(parts, Decimal(0)) == (min(amount, whole) if whole else 0)
    for each, share in zip(over, parts, strict=True):
        assert whole == 0 or abs(
            Fraction(share) - Fraction(min(amount, whole)) * Fraction(each) / Fraction(whole)
        ) < Fraction(CENT)
        assert share <= each


def test_what_the_client_gets_cheaper_counts_all_three_ways() -> None:
    assert given_percent(line("1", "100", percent="10"), None, Decimal(0)) == 10
    assert given_percent(line("1", "100", percent="10"), Decimal(100), Decimal("0.1")) == 19
    assert given_percent(line("1", "90"), Decimal(100), Decimal(0)) == 10
    assert given_percent(line("4", "25", money="20"), Decimal(20), Decimal(0)) == 20  # a higher price gives no credit
    assert given_percent(line("0", "25", money="20"), None, Decimal(0)) == 0


@pytest.mark.parametrize("value", ["-1", "1e9", "0.0000001", "NaN"])
def test_quantities_that_are_refused(value: str) -> None:
    with pytest.raises(Invalid):
        check_quantity(Decimal(value) if value != "NaN" else None, "quantity")


def test_what_is_entered_is_checked() -> None:
    assert check_price(Decimal("12.5"), "price") == Decimal("12.50")
    assert check_rate(None, "vat_rate") is None
    assert check_discount(Decimal(0), None, Decimal(10), "discount") == Discount()
    for percent, money in (("101", None), ("-1", None), ("1.234", None), (None, "10.01"), (None, "-1"), ("5", "5")):
        with pytest.raises(Invalid) as refused:
            check_discount(
                Decimal(percent) if percent else None, Decimal(money) if money else None, Decimal(10), "discount"
            )
        assert refused.value.field == "discount"
    for wrong in ("-0.01", "1.001", "1e11"):
        with pytest.raises(Invalid):
            check_price(Decimal(wrong), "price")
    for wrong in ("-1", "100.01", "1.001"):
        with pytest.raises(Invalid):
            check_rate(Decimal(wrong), "vat_rate")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("5 %", (Decimal(5), None)),
        ("7,5%", (Decimal("7.5"), None)),
        ("1 250,50", (None, Decimal("1250.50"))),
        ("", (None, None)),
        ("%", None),
        ("five", None),
        ("NaN", None),
        ("inf", None),
    ],
)
def test_a_discount_as_people_type_it(typed: str, found: tuple[Decimal | None, Decimal | None] | None) -> None:
    assert read_discount(typed) == found
