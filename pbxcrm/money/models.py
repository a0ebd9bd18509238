"""The tables of products, lines of deals, discounts on whole deals, and templates of lines."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Index, TypeDecorator
from sqlmodel import Field

from pbxcrm.formulas.reading import LONGEST as LONGEST_FORMULA
from pbxcrm.shared.columns import (
    TableModel,
    json_list,
    json_object,
    link,
    maybe_link,
    maybe_utc_column,
    row_id,
)
from pbxcrm.shared.config_cache import cached_config
from pbxcrm.shared.db import Money
from pbxcrm.shared.text_match import folded_text, keep_folded
from pbxcrm.shared.typed_reasons import LONGEST_WHY

MILLION = 10**6


class Quantity(TypeDecorator[Decimal]):
    """A quantity with six decimals, stored as a whole number of millionths, as numbers of custom fields are."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """The quantity in millionths."""
        return None if value is None else int((value * MILLION).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """The quantity with six places."""
        return None if value is None else (Decimal(int(value)) / MILLION).quantize(Decimal("0.000001"))


class ProductKind(StrEnum):
    """Whether it is put into a van or done by somebody."""

    GOODS = "goods"
    SERVICE = "service"


class Product(TableModel, table=True):
    """Something that is sold. A retired one stays in the deals that have it and is offered no more.

    ``price`` includes VAT. ``vat_rate``: per cent; None: without VAT. ``group_name``: in the
    words of the office; products of one group stand together.
    """

    __tablename__ = "products"
    __table_args__ = (Index("ix_products_list", "group_name", "name", "id"),)

    id: int | None = row_id()
    name: str = Field(max_length=200)
    name_folded: str = folded_text()
    sku: str | None = Field(default=None, max_length=60, unique=True)
    group_name: str = Field(default="", max_length=100)
    kind: str = Field(default=ProductKind.GOODS.value, max_length=8)  # a ProductKind
    unit: str = Field(default="", max_length=20)
    price: Decimal = Field(sa_type=Money, nullable=False)
    currency: str = Field(max_length=3)
    vat_rate: Decimal | None = Field(default=None, sa_type=Money)
    retired_at: datetime | None = maybe_utc_column()
    version: int = 1


class DealLine(TableModel, table=True):
    """A line of a deal: a product as it was when it was added, or free text.

    ``quantity`` is what counts; with a ``formula`` it is computed again when ``inputs`` (name → what was entered) or fields of the deal
    change. ``list_price``: the product's price when it was added. A discount that needs approval is in the ``asked_…`` columns until a
    manager decides; the price counts only the others.
    """

    __tablename__ = "deal_lines"

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE")
    product_id: int | None = maybe_link("products.id")
    position: int = 0
    name: str = Field(max_length=200)
    unit: str = Field(default="", max_length=20)
    quantity: Decimal = Field(sa_type=Quantity, nullable=False)
    formula: str = Field(default="", max_length=LONGEST_FORMULA)
    inputs: dict[str, Any] = json_object()
    price: Decimal = Field(sa_type=Money, nullable=False)
    list_price: Decimal | None = Field(default=None, sa_type=Money)
    vat_rate: Decimal | None = Field(default=None, sa_type=Money)
    discount_percent: Decimal | None = Field(default=None, sa_type=Money)
    discount_money: Decimal | None = Field(default=None, sa_type=Money)
    asked_percent: Decimal | None = Field(default=None, sa_type=Money)
    asked_money: Decimal | None = Field(default=None, sa_type=Money)
    asked_why: str = Field(default="", max_length=LONGEST_WHY)
    asked_by_id: int | None = maybe_link("users.id", index=False)
    removed_at: datetime | None = maybe_utc_column()  # it can be put back
    version: int = 1


class DealDiscount(TableModel, table=True):
    """The discount on the whole of a deal; the columns are those of ``DealLine``. A merged deal keeps its own."""

    __tablename__ = "deal_discounts"
    __table_args__ = (Index("ix_deal_discounts_deal_id", "deal_id", unique=True),)

    id: int | None = row_id()
    deal_id: int = link("deals.id", ondelete="CASCADE", index=False)
    discount_percent: Decimal | None = Field(default=None, sa_type=Money)
    discount_money: Decimal | None = Field(default=None, sa_type=Money)
    asked_percent: Decimal | None = Field(default=None, sa_type=Money)
    asked_money: Decimal | None = Field(default=None, sa_type=Money)
    asked_why: str = Field(default="", max_length=LONGEST_WHY)
    asked_by_id: int | None = maybe_link("users.id", index=False)
    version: int = 1


@cached_config
class LineTemplate(TableModel, table=True):
    """Lines that are added together ("room under the key").

    ``inputs``: what is asked when it is applied, ``[{"key", "name", "unit", "value"}]``. ``values``: named formulas over them,
    ``[{"key", "formula"}]``. ``lines``: ``[{"product_id", "name", "unit", "price", "vat_rate", "formula"}]``; where there is a product,
    it says name, unit, price and rate.
    """

    __tablename__ = "line_templates"

    id: int | None = row_id()
    name: str = Field(max_length=100, unique=True)
    inputs: list[dict[str, Any]] = json_list()
    values: list[dict[str, Any]] = json_list()
    lines: list[dict[str, Any]] = json_list()
    archived_at: datetime | None = maybe_utc_column()
    version: int = 1


keep_folded(Product, "name")
