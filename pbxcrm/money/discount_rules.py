"""Pure: which discounts go beyond what a person gives on their own. Those are only asked for, with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pbxcrm.money.line_rules import DealLines, as_priced, asked_of, cost_of, discount_of
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.rules import NO_DISCOUNT, WHOLE, Discount, PricedLine, given_percent
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.typed_reasons import check_why


@dataclass(frozen=True, slots=True)
class GivenBefore:
    """What the client got cheaper before a change, in per cent: by id of the line, and by the discount on the whole."""

    lines: Mapping[int, Decimal]
    discounts: Mapping[int, Discount]
    whole: Discount
    whole_percent: Decimal

    @property
    def most(self) -> Decimal:
        """On the line with the most."""
        return max(self.lines.values(), default=Decimal(0))


@dataclass(frozen=True, slots=True)
class TypedReason:
    """What was typed as the reason of a discount, and the field of the form for what is wrong with it."""

    why: str = ""
    field: str = "why"


def given_now(lines: DealLines) -> GivenBefore:
    """What the client gets cheaper by these lines."""
    whole = discount_of(lines.whole)
    share = share_of(whole, lines.lines)
    return GivenBefore(
        {line.id or 0: given_percent(as_priced(line), line.list_price, share) for line in lines.lines},
        {line.id or 0: discount_of(line) for line in lines.lines},
        whole,
        share * WHOLE,
    )


def share_of(whole: Discount, lines: Sequence[DealLine]) -> Decimal:
    """The part of what the lines cost, from 0 to 1, that a discount on the whole takes off."""
    return whole.share(cost_of(lines))


def check_limits(
    before: GivenBefore,
    lines: Sequence[DealLine],
    whole: DealDiscount,
    typed: Mapping[int, TypedReason],
    limit: Decimal,
) -> None:
    """What goes beyond ``limit`` (per cent), and was not there before, is only asked for: it moves to the ``asked_…`` columns, and what
    counts stays as it was. ``lines``: those that are not removed; ``typed`` has their places.

    Raises Invalid for a price too far below the list, and at the field of the reason if there is none.
    """
    share = share_of(before.whole, lines)
    for line in lines:
        allowed = max(limit, before.lines.get(line.id or 0, Decimal(0)), share * WHOLE)
        plain = PricedLine(line.quantity, line.price)
        if given_percent(as_priced(line), line.list_price, share) <= allowed:
            continue
        said = typed.get(id(line), TypedReason())
        if given_percent(plain, line.list_price, share) > allowed:
            raise Invalid(
                said.field.removesuffix("why") + "price",
                "money.price_low",
                "The price is too far below the list: you give up to {limit} % on your own. Ask for a discount instead.",
                limit=f"{limit:.0f}",
            )
        _check_said(said, limit)
        was = before.discounts.get(line.id or 0, NO_DISCOUNT)
        kept = PricedLine(line.quantity, line.price, was)
        _ask(line, was if given_percent(kept, line.list_price, share) <= allowed else NO_DISCOUNT, said.why)
    new = share_of(discount_of(whole), lines)
    most = _most_given(lines, new)
    if new * WHOLE > max(limit, before.whole_percent) or (new > share and most > max(limit, before.most)):
        said = typed.get(id(whole), TypedReason())
        _check_said(said, limit)
        _ask(whole, before.whole if share * WHOLE <= max(limit, before.whole_percent) else NO_DISCOUNT, said.why)


def must_ask(wanted: Discount, found: DealLines, limit: Decimal) -> bool:
    """Whether a discount on the whole of these lines would only be asked for."""
    tried = DealDiscount(
        deal_id=found.whole.deal_id, discount_percent=wanted.percent, discount_money=wanted.money, asked_why=""
    )
    check_limits(given_now(found), found.lines, tried, {id(tried): TypedReason("?")}, limit)
    return bool(asked_of(tried))


def percent_with_asked(row: DealLine | DealDiscount, lines: Sequence[DealLine], whole: DealDiscount) -> Decimal:
    """How many per cent cheaper the client gets a line at most once the discount counts that is asked for on ``row``."""
    asked = asked_of(row)
    if isinstance(row, DealLine):
        plain = PricedLine(row.quantity, row.price, asked)
        return given_percent(plain, row.list_price, share_of(discount_of(whole), lines))
    share = share_of(asked, lines)
    return _most_given(lines, share) if lines else share * WHOLE


def _most_given(lines: Sequence[DealLine], share: Decimal) -> Decimal:
    return max((given_percent(as_priced(line), line.list_price, share) for line in lines), default=Decimal(0))


def _check_said(said: TypedReason, limit: Decimal) -> None:
    if not said.why.strip():
        raise Invalid(
            said.field,
            "money.say_why",
            "You give up to {limit} % on your own. Say why, and a manager decides about this discount.",
            limit=f"{limit:.0f}",
        )
    check_why(said.why, said.field)


def _ask(row: DealLine | DealDiscount, counts: Discount, why: str) -> None:
    row.asked_percent, row.asked_money = row.discount_percent, row.discount_money
    row.asked_why = check_why(why)
    row.discount_percent, row.discount_money = counts.percent, counts.money
