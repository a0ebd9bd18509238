"""The catalogue of products, and templates of lines."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.money.models import DealLine, LineTemplate, Product, ProductKind
from pbxcrm.money.product_actions import ProductDraft, add_product, change_product, retire_product
from pbxcrm.money.quantity_rules import LONGEST_INPUT, MOST_INPUTS
from pbxcrm.money.queries import ProductFilter, access_product, access_template, list_products, list_templates
from pbxcrm.money.template_actions import (
    MOST_TEMPLATE_LINES,
    AskedValue,
    TemplateDraft,
    TemplateLine,
    archive_template,
    save_template,
)
from web.api import checked_cursors
from web.api.fields import (
    NO_NUL,
    PERCENT,
    PRICE,
    Amount,
    ApiAnswer,
    ApiRequest,
    Id,
    ListQuery,
    ShortListQuery,
    Version,
    Word,
    needed_text,
    optional_text,
)
from web.api.resource import Ask, Page, Resource

products = Resource("products", "The catalogue: goods and services with their prices; templates of lines.")

ProductName = Annotated[str, needed_text(Product.name)]
PriceText = Annotated[str, Field(pattern=PRICE, examples=["245.50"])]
PercentText = Annotated[str, Field(pattern=PERCENT, examples=["20"])]
FormulaText = Annotated[str, optional_text(DealLine.formula)]
ShortText = Annotated[str, Field(max_length=LONGEST_INPUT, pattern=NO_NUL)]


class ProductOut(ApiAnswer):
    """Something that is sold."""

    id: int
    name: str
    sku: str | None
    group: str = Field(description="In the words of the office; empty: in none.")
    kind: ProductKind
    unit: str
    price: Amount = Field(description="Includes VAT.")
    currency: str
    vat_rate: Amount | None = Field(description="Per cent; null: without VAT.")
    retired: bool = Field(description="It is offered no more; deals keep their lines.")
    version: int


class ProductQuery(ListQuery):
    """Which products; by group and name."""

    q: Word | None = Field(None, description="A part of a name or SKU.")
    group: Annotated[str, optional_text(Product.group_name)] | None = None
    retired: Literal["true", "false"] = "false"


class NewProduct(ApiRequest):
    """A new product; its price is in the currency of the installation."""

    name: ProductName
    price: PriceText
    sku: Annotated[str, optional_text(Product.sku)] = ""
    group: Annotated[str, optional_text(Product.group_name)] = ""
    kind: Literal["goods", "service"] = "goods"
    unit: Annotated[str, optional_text(Product.unit)] = ""
    vat_rate: PercentText | None = None


class ProductChange(ApiRequest):
    """Changes. A field that is left out stays unchanged. Deals that have the product keep what their lines say."""

    name: ProductName | None = None
    price: PriceText | None = None
    sku: Annotated[str, optional_text(Product.sku)] | None = None
    group: Annotated[str, optional_text(Product.group_name)] | None = None
    kind: Literal["goods", "service"] | None = None
    unit: Annotated[str, optional_text(Product.unit)] | None = None
    vat_rate: PercentText | None = Field(None, description="null: without VAT.")
    retired: bool | None = None
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class AskedValueBody(ApiRequest):
    """A value that a template asks for when it is applied."""

    key: ShortText = Field(description="Its name in formulas: letters, digits and _.")
    name: ShortText = ""
    unit: ShortText = ""
    value: ShortText = Field("", description="What is offered at first.")


class TemplateValueBody(ApiRequest):
    """A named formula over the values that are asked for and over fields of the deal; formulas may use each other."""

    key: ShortText
    formula: FormulaText


class TemplateLineBody(ApiRequest):
    """A line: a product, or a text with its price. `formula`: the quantity; a line whose quantity is nothing is left out."""

    formula: FormulaText
    product_id: Id | None = None
    name: Annotated[str, optional_text(DealLine.name)] = ""
    unit: Annotated[str, optional_text(DealLine.unit)] = ""
    price: PriceText | None = None
    vat_rate: PercentText | None = None


class LineTemplateBody(ApiRequest):
    """A whole template."""

    name: Annotated[str, needed_text(LineTemplate.name)]
    inputs: Annotated[list[AskedValueBody], Field(max_length=MOST_INPUTS)] = Field(default_factory=list)
    values: Annotated[list[TemplateValueBody], Field(max_length=MOST_INPUTS)] = Field(default_factory=list)
    lines: Annotated[list[TemplateLineBody], Field(min_length=1, max_length=MOST_TEMPLATE_LINES)]


class LineTemplateChange(LineTemplateBody):
    """The whole template as it shall be."""

    archived: bool = False
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class AskedValueOut(ApiAnswer):
    """A value that a template asks for."""

    key: str
    name: str
    unit: str
    value: str


class TemplateValueOut(ApiAnswer):
    """A named formula."""

    key: str
    formula: str


class TemplateLineOut(ApiAnswer):
    """A line of a template; with a product, name, unit, price and rate are those of the catalogue when it is applied."""

    formula: str
    product_id: int | None
    name: str
    unit: str
    price: str | None
    vat_rate: str | None


class LineTemplateOut(ApiAnswer):
    """A template of lines."""

    id: int
    name: str
    inputs: list[AskedValueOut]
    values: list[TemplateValueOut]
    lines: list[TemplateLineOut]
    archived: bool
    version: int


@products.get("/products", needs=Permission.DEALS_READ, summary="Products, by group and name")
async def read_products(ask: Ask, query: ProductQuery) -> Page[ProductOut]:
    after_id = checked_cursors.read_id(query.cursor)
    after = await access_product(ask.session, after_id) if after_id is not None else None
    asked = ProductFilter(query.q or "", query.group, query.retired == "true")
    rows = await list_products(ask.session, asked, after=after, limit=query.limit + 1)
    return Page[ProductOut].of(
        [_product(row) for row in rows], query.limit, lambda each: checked_cursors.next_of_id(each.id)
    )


@products.get("/products/{product_id}", needs=Permission.DEALS_READ, summary="One product")
async def read_product(ask: Ask, product_id: int) -> ProductOut:
    return _product(await access_product(ask.session, product_id))


@products.post(
    "/products",
    needs=Permission.SETTINGS_EDIT,
    summary="Add a product",
    location=lambda product: f"/products/{product.id}",
)
async def create_product(ask: Ask, body: NewProduct) -> ProductOut:
    draft = ProductDraft(
        body.name, Decimal(body.price), body.sku, body.group, body.kind, body.unit, _decimal(body.vat_rate)
    )
    return _product(await add_product(ask.session, ask.viewer, draft, ask.now, currency=ask.settings.currency))


@products.patch("/products/{product_id}", needs=Permission.SETTINGS_EDIT, summary="Change or retire a product")
async def edit_product(ask: Ask, product_id: int, body: ProductChange) -> ProductOut:
    known, sent = await access_product(ask.session, product_id), body.model_fields_set
    draft = ProductDraft(
        known.name if body.name is None else body.name,
        known.price if body.price is None else Decimal(body.price),
        (known.sku or "") if body.sku is None else body.sku,
        known.group_name if body.group is None else body.group,
        known.kind if body.kind is None else body.kind,
        known.unit if body.unit is None else body.unit,
        _decimal(body.vat_rate) if "vat_rate" in sent else known.vat_rate,
    )
    product = await change_product(ask.session, ask.viewer, product_id, draft, ask.now, version=body.version)
    if body.retired is not None:
        product = await retire_product(ask.session, ask.viewer, product_id, ask.now, is_retired=body.retired)
    return _product(product)


@products.get("/line-templates", needs=Permission.DEALS_READ, summary="Templates of lines that are offered, by name")
async def read_line_templates(ask: Ask, query: ShortListQuery) -> Page[LineTemplateOut]:
    return Page[LineTemplateOut].part_of([_template(row) for row in await list_templates(ask.session)], query)


@products.get("/line-templates/{line_template_id}", needs=Permission.DEALS_READ, summary="One template of lines")
async def read_line_template(ask: Ask, line_template_id: int) -> LineTemplateOut:
    return _template(await access_template(ask.session, line_template_id))


@products.post(
    "/line-templates",
    needs=Permission.SETTINGS_EDIT,
    summary="Add a template of lines",
    location=lambda template: f"/line-templates/{template.id}",
)
async def create_line_template(ask: Ask, body: LineTemplateBody) -> LineTemplateOut:
    return _template(await save_template(ask.session, ask.viewer, None, _draft(body), ask.now))


@products.put(
    "/line-templates/{line_template_id}", needs=Permission.SETTINGS_EDIT, summary="Replace a template of lines"
)
async def replace_line_template(ask: Ask, line_template_id: int, body: LineTemplateChange) -> LineTemplateOut:
    """Deals that it was applied to stay as they are."""
    await save_template(ask.session, ask.viewer, line_template_id, _draft(body), ask.now, version=body.version)
    return _template(
        await archive_template(ask.session, ask.viewer, line_template_id, ask.now, is_archived=body.archived)
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _draft(body: LineTemplateBody) -> TemplateDraft:
    return TemplateDraft(
        body.name,
        [AskedValue(each.key, each.name, each.unit, each.value) for each in body.inputs],
        [(each.key, each.formula) for each in body.values],
        [
            TemplateLine(
                each.formula, each.product_id, each.name, each.unit, _decimal(each.price), _decimal(each.vat_rate)
            )
            for each in body.lines
        ],
    )


def _product(row: Product) -> ProductOut:
    return ProductOut(
        id=row.id or 0,
        name=row.name,
        sku=row.sku,
        group=row.group_name,
        kind=ProductKind(row.kind),
        unit=row.unit,
        price=row.price,
        currency=row.currency,
        vat_rate=row.vat_rate,
        retired=row.retired_at is not None,
        version=row.version,
    )


def _template(row: LineTemplate) -> LineTemplateOut:
    return LineTemplateOut(
        id=row.id or 0,
        name=row.name,
        inputs=[AskedValueOut(**each) for each in row.inputs],
        values=[TemplateValueOut(**each) for each in row.values],
        lines=[TemplateLineOut(**each) for each in row.lines],
        archived=row.archived_at is not None,
        version=row.version,
    )
