"""What is sold with a deal: its lines, discounts and their approval."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.money.discount_actions import decide_discount, withdraw_discount
from pbxcrm.money.line_actions import MOST_LINES, add_line, set_lines, undo_lines
from pbxcrm.money.line_drafts import LineDraft, SameProduct, WholeDraft
from pbxcrm.money.line_rules import DealLines
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.quantity_rules import LONGEST_INPUT, MOST_INPUTS
from pbxcrm.money.queries import lines_of
from pbxcrm.money.rules import LinePrice
from pbxcrm.money.template_actions import apply_template
from pbxcrm.people.directory import Directory, load_directory
from web.api.fields import NO_NUL, QUANTITY, Amount, ApiAnswer, ApiRequest, Id, OptionalWhy, Version, optional_text
from web.api.resource import Ask, Resource
from web.api.v1.products import FormulaText, PercentText, PriceText

deal_lines = Resource("deal-lines", "What is sold with a deal: lines, discounts, templates of lines.")

QuantityText = Annotated[str, Field(pattern=QUANTITY, examples=["66", "2.5"])]
Input = Annotated[str, Field(max_length=LONGEST_INPUT, pattern=NO_NUL)]


class AskedDiscountOut(ApiAnswer):
    """A discount that waits for a manager. It does not count until it is approved."""

    percent: Amount | None
    money: Amount | None
    why: str
    by: str | None = Field(description="A login.")


class DealLineOut(ApiAnswer):
    """A line of a deal."""

    id: int
    product_id: int | None = Field(description="null: a free text.")
    name: str
    unit: str
    quantity: str
    formula: str = Field(description="By which the quantity is computed again; empty: it was entered.")
    inputs: dict[str, str] = Field(
        description="Named values of the formula. One that begins with = is a formula itself."
    )
    price: Amount
    list_price: Amount | None = Field(description="The product's price when the line was added.")
    vat_rate: Amount | None
    discount_percent: Amount | None
    discount_money: Amount | None
    asked: AskedDiscountOut | None
    gross: Amount = Field(description="quantity × price.")
    net: Amount = Field(description="Less the discount of the line.")
    total: Amount = Field(
        description="Less its part of the discount on the whole. The totals add up to that of the deal exactly."
    )
    version: int


class VatOut(ApiAnswer):
    """The VAT of one rate, computed from the sum of its lines, which include it."""

    rate: Amount
    amount: Amount
    vat: Amount


class DealLinesOut(ApiAnswer):
    """All lines of a deal and their sums."""

    deal_id: int
    currency: str
    items: list[DealLineOut]
    next: str | None = Field(description="Always null: the lines are answered whole.")
    discount_percent: Amount | None = Field(description="On the whole.")
    discount_money: Amount | None
    asked: AskedDiscountOut | None
    gross: Amount
    total: Amount
    vat: list[VatOut]
    version: int = Field(description="The version of the deal.")


class DealLineBody(ApiRequest):
    """A line. With a product, name, unit, price and rate may be left out. With a formula the quantity is computed."""

    product_id: Id | None = None
    name: Annotated[str, optional_text(DealLine.name)] = ""
    unit: Annotated[str, optional_text(DealLine.unit)] = ""
    quantity: QuantityText | None = None
    formula: FormulaText = ""
    inputs: Annotated[dict[Input, Input], Field(max_length=MOST_INPUTS)] = Field(default_factory=dict)
    price: PriceText | None = None
    vat_rate: PercentText | None = None
    discount_percent: PercentText | None = None
    discount_money: PriceText | None = None
    discount_why: OptionalWhy = Field(
        "", description="The reason of a discount above one's limit, which a manager decides about."
    )


class KeptLine(DealLineBody):
    """A line as it shall be."""

    id: Id | None = Field(None, description="A line that is there; null: a new one.")


class DealLinesBody(ApiRequest):
    """The lines that the deal shall have, in this order. Those that are not named are removed."""

    items: Annotated[list[KeptLine], Field(max_length=MOST_LINES)]
    discount_percent: PercentText | None = Field(None, description="On the whole. All three left out: it stays.")
    discount_money: PriceText | None = None
    discount_why: OptionalWhy = ""
    version: Version | None = Field(
        None, description="The version of the deal you saw: a newer one is not overwritten (409)."
    )


class AddedLine(DealLineBody):
    """A line that is added at the end."""

    same: SameProduct | None = Field(
        None, strict=False, description="What happens with a product that is there already; null: as the options say."
    )


class AppliedTemplate(ApiRequest):
    """A template of lines with the values that it asks for, by key."""

    template_id: Id
    inputs: Annotated[dict[Input, Input], Field(max_length=MOST_INPUTS)] = Field(default_factory=dict)


class DiscountDecision(ApiRequest):
    """What becomes of a discount that is asked for."""

    deal_line_id: Id | None = Field(None, description="null: the discount on the whole.")
    approve: bool
    why: OptionalWhy = Field("", description="Needed for a refusal.")


class WhichDiscount(ApiRequest):
    """Which one."""

    deal_line_id: Id | None = Field(None, description="null: the discount on the whole.")


@deal_lines.get("/deals/{deal_id}/lines", needs=Permission.DEALS_READ, summary="The lines of a deal")
async def read_deal_lines(ask: Ask, deal_id: int) -> DealLinesOut:
    deal = await access_deal(ask.session, ask.viewer, deal_id)
    return await _out(ask, deal, await lines_of(ask.session, deal.id or 0))


@deal_lines.put("/deals/{deal_id}/lines", needs=Permission.DEALS_EDIT, summary="Replace the lines of a deal")
async def replace_deal_lines(ask: Ask, deal_id: int, body: DealLinesBody) -> DealLinesOut:
    """A discount above one's limit is only asked for (`asked`). In a pipeline that takes the amount from the lines the deal's changes, too."""
    whole = None
    if body.model_fields_set & {"discount_percent", "discount_money", "discount_why"}:
        whole = WholeDraft(_decimal(body.discount_percent), _decimal(body.discount_money), body.discount_why)
    drafts = [_draft(each, each.id) for each in body.items]
    found = await set_lines(ask.session, ask.viewer, deal_id, drafts, whole, ask.now, version=body.version)
    return await _changed(ask, deal_id, found)


@deal_lines.post("/deals/{deal_id}/lines", needs=Permission.DEALS_EDIT, summary="Add a line to a deal", status=200)
async def add_deal_line(ask: Ask, deal_id: int, body: AddedLine) -> DealLinesOut:
    found = await add_line(ask.session, ask.viewer, deal_id, _draft(body), ask.now, same=body.same)
    return await _changed(ask, deal_id, found)


@deal_lines.post(
    "/deals/{deal_id}/lines/template", needs=Permission.DEALS_EDIT, summary="Add the lines of a template", status=200
)
async def apply_line_template(ask: Ask, deal_id: int, body: AppliedTemplate) -> DealLinesOut:
    found = await apply_template(ask.session, ask.viewer, deal_id, body.template_id, body.inputs, ask.now)
    return await _changed(ask, deal_id, found)


@deal_lines.post(
    "/deals/{deal_id}/lines/undo",
    needs=Permission.DEALS_EDIT,
    summary="Take back one's own latest change of the lines",
    status=200,
    conflicts=True,
)
async def undo_deal_lines(ask: Ask, deal_id: int) -> DealLinesOut:
    return await _changed(ask, deal_id, await undo_lines(ask.session, ask.viewer, deal_id, ask.now))


@deal_lines.post(
    "/deals/{deal_id}/lines/discount",
    needs=Permission.ESCALATIONS_WORK,
    summary="Approve or refuse a discount that is asked for",
    status=200,
    conflicts=True,
)
async def decide_about_discount(ask: Ask, deal_id: int, body: DiscountDecision) -> DealLinesOut:
    found = await decide_discount(
        ask.session, ask.viewer, deal_id, body.deal_line_id, ask.now, is_approved=body.approve, why=body.why
    )
    return await _changed(ask, deal_id, found)


@deal_lines.post(
    "/deals/{deal_id}/lines/withdraw",
    needs=Permission.DEALS_EDIT,
    summary="Ask no longer for a discount",
    status=200,
    conflicts=True,
)
async def withdraw_asked_discount(ask: Ask, deal_id: int, body: WhichDiscount) -> DealLinesOut:
    return await _changed(
        ask, deal_id, await withdraw_discount(ask.session, ask.viewer, deal_id, body.deal_line_id, ask.now)
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _draft(body: DealLineBody, line_id: int | None = None) -> LineDraft:
    return LineDraft(
        product_id=body.product_id,
        name=body.name,
        unit=body.unit,
        quantity=_decimal(body.quantity),
        formula=body.formula,
        inputs=body.inputs,
        price=_decimal(body.price),
        vat_rate=_decimal(body.vat_rate),
        percent=_decimal(body.discount_percent),
        money=_decimal(body.discount_money),
        why=body.discount_why,
        line_id=line_id,
    )


async def _changed(ask: Ask, deal_id: int, found: DealLines) -> DealLinesOut:
    await ask.session.flush()
    return await _out(ask, await ask.session.get_one(Deal, deal_id), found)


async def _out(ask: Ask, deal: Deal, found: DealLines) -> DealLinesOut:
    people = await load_directory(ask.session)
    return DealLinesOut(
        deal_id=deal.id or 0,
        currency=deal.currency,
        items=_lines(found.lines, found.price.lines, people),
        next=None,
        discount_percent=found.whole.discount_percent,
        discount_money=found.whole.discount_money,
        asked=_asked(found.whole, people),
        gross=found.price.gross,
        total=found.price.total,
        vat=[VatOut(rate=part.rate, amount=part.amount, vat=part.vat) for part in found.price.vat],
        version=deal.version,
    )


def _lines(lines: Sequence[DealLine], prices: Sequence[LinePrice], people: Directory) -> list[DealLineOut]:
    return [
        DealLineOut(
            id=line.id or 0,
            product_id=line.product_id,
            name=line.name,
            unit=line.unit,
            quantity=f"{line.quantity.normalize():f}",
            formula=line.formula,
            inputs=line.inputs,
            price=line.price,
            list_price=line.list_price,
            vat_rate=line.vat_rate,
            discount_percent=line.discount_percent,
            discount_money=line.discount_money,
            asked=_asked(line, people),
            gross=price.gross,
            net=price.net,
            total=price.total,
            version=line.version,
        )
        for line, price in zip(lines, prices, strict=True)
    ]


def _asked(row: DealLine | DealDiscount, people: Directory) -> AskedDiscountOut | None:
    if row.asked_percent is None and row.asked_money is None:
        return None
    return AskedDiscountOut(
        percent=row.asked_percent, money=row.asked_money, why=row.asked_why, by=people.login(row.asked_by_id)
    )
