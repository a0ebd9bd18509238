"""``{"kind": "lines", "product_id", "quantity", "template_id", "inputs", "same"}``: a product, or the lines of a template."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.money_author import author_of
from pbxcrm.automation.steps.step import KnownThings, Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.reading import LONGEST as LONGEST_FORMULA
from pbxcrm.money.line_actions import do_add_lines, do_put_back
from pbxcrm.money.line_drafts import LineDraft, SameProduct
from pbxcrm.money.models import LineTemplate, Product
from pbxcrm.money.quantity_rules import quantity_by
from pbxcrm.money.queries import access_product, access_template, formula_fields, formula_time, lines_of
from pbxcrm.money.rules import check_quantity
from pbxcrm.money.template_actions import drafts_of_template
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_, Reason, reason

MOST_TOLD = 5  # products that the log names


class _LinesStep(Step):
    """Lines of products. ``quantity``: a number, or a formula over the fields of the deal, which stays on the line."""

    kind = "lines"
    title = N_("Add products")
    repeats = Repeats.TOGETHER
    params = (
        Param("product_id", N_("Product"), ParamKind.PRODUCT, hint=N_("Its SKU, its name, or # and its number.")),
        Param(
            "quantity",
            N_("Quantity"),
            ParamKind.FORMULA,
            most=LONGEST_FORMULA,
            default="1",
            hint=N_("Of the product: a number, or a formula over the fields of the deal, 2 * (length + width)."),
        ),
        Param("template_id", N_("Or a template of lines"), ParamKind.LINE_TEMPLATE),
        Param(
            "same",
            N_("A product that the deal has already"),
            ParamKind.CHOICE,
            choices={
                SameProduct.SKIP: N_("stays as it is"),
                SameProduct.SUM: N_("gets the quantity added"),
                SameProduct.ADD: N_("gets a second line"),
            },
            default=SameProduct.SKIP.value,
        ),
        Param(
            "inputs",
            N_("What the template asks"),
            ParamKind.INPUTS,
            default={},
            hint=N_("One per line, name: value. After = stands a formula over the fields of the deal, width: =field."),
        ),
    )

    def check(self, settings: dict[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
        template_id = settings.get("template_id")
        if (settings.get("product_id") is None) is (template_id is None):
            raise Invalid(f"{at}.product_id", "automation.lines", "Choose a product, or a template of lines.")
        if template_id is None:
            return settings
        asked = {each["key"]: each for each in known.templates[template_id].inputs}
        inputs = settings["inputs"]
        unknown = next((name for name in inputs if name not in asked), None)
        if unknown is not None:
            raise Invalid(f"{at}.inputs", "automation.input", "The template does not ask for “{name}”.", name=unknown)
        for key, each in asked.items():
            if not (inputs.get(key) or each["value"]):
                raise Invalid(f"{at}.inputs", "line_templates.input", "Fill in “{name}”.", name=each["name"])
        return settings

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        drafts = await _drafts(context, settings)
        same = SameProduct(settings["same"])
        change = await do_add_lines(
            context.session, context.of_deal, drafts, author_of(context), context.now, same=same
        )
        changed = change.what_changed()
        said = await _said(context, drafts) if changed else reason("automation.lines_there")
        return StepTaken(said, undo={"changed": changed} if changed else {})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        drafts = await _drafts(context, settings)
        if settings["same"] == SameProduct.SKIP:
            there = {line.product_id for line in (await lines_of(context.session, context.of_deal.id or 0)).lines}
            drafts = [each for each in drafts if each.product_id is None or each.product_id not in there]
        return await _said(context, drafts) if drafts else reason("automation.lines_there")

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        assert undoing.deal is not None
        taken = await do_put_back(undoing.session, undoing.viewer, undoing.deal, kept["changed"], undoing.now)
        return None if taken else reason("automation.kept_changed")


async def _drafts(context: StepContext, settings: Settings) -> Sequence[LineDraft]:
    """What is added. Raises Invalid for a product or template that is gone, and for a formula that gives nothing."""
    template_id, product_id = settings.get("template_id"), settings.get("product_id")
    if template_id is not None:
        template: LineTemplate = await access_template(context.session, template_id, field="template_id")
        return await drafts_of_template(context.session, context.of_deal, template, settings["inputs"], context.now)
    product = await access_product(context.session, product_id or 0, field="product_id")
    typed = settings["quantity"]
    number = read_decimal(typed)
    if number is not None:
        return [LineDraft(product.id, quantity=check_quantity(number, "quantity"))]
    return [LineDraft(product.id, formula=typed)]


async def _said(context: StepContext, drafts: Sequence[LineDraft]) -> Reason:
    products = await load_by_id(context.session, Product, [each.product_id for each in drafts])
    fields = await formula_fields(context.session, context.of_deal)
    around = await formula_time(context.session, context.of_deal, context.now)
    told = []
    for each in drafts[:MOST_TOLD]:
        product = products.get(each.product_id) if each.product_id is not None else None
        try:
            quantity = quantity_by(each.formula, each.inputs, fields, around) if each.formula else each.quantity
        except FormulaError as error:
            raise error.at_field("quantity") from None
        told.append(f"{product.name if product is not None else each.name} × {_plain(quantity)}")
    more = "…" if len(drafts) > MOST_TOLD else ""
    return reason("automation.lines", lines=", ".join(told) + more)


def _plain(quantity: Decimal | None) -> str:
    return f"{(Decimal(1) if quantity is None else quantity).normalize():f}"


LINES = _LinesStep()
