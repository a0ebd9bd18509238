"""Reading the catalogue, the lines of a deal with their price, and templates of lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Role, Viewer
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.formula_queries import hours_for_formulas, names_for_formulas, values_for_formulas
from pbxcrm.fields.formula_rules import reading_any
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.money.line_rules import DealLines, priced
from pbxcrm.money.models import DealDiscount, DealLine, LineTemplate, Product
from pbxcrm.money.rules import WHOLE
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import NotFound, not_there
from pbxcrm.shared.runtime_options import Options, load_options
from pbxcrm.shared.text_match import part_of

LONGEST_NUMBER = 19  # digits; any id is shorter
MOST_SUGGESTED = 200  # groups and units


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """``text``: a part of a name or SKU. ``group``: exactly this one; None: all. ``retired``: those that are offered no more."""

    text: str = ""
    group: str | None = None
    retired: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of a query for products."""
        gone = col(Product.retired_at)
        found: list[ColumnElement[bool]] = [gone.is_not(None) if self.retired else gone.is_(None)]
        if self.text:
            by_sku = func.lower(col(Product.sku)).contains(self.text.lower(), autoescape=True)
            found.append(or_(part_of(col(Product.name_folded), self.text), by_sku))
        if self.group is not None:
            found.append(col(Product.group_name) == self.group)
        return found


async def list_products(
    session: AsyncSession, asked: ProductFilter, *, after: Product | None = None, limit: int = 50
) -> Sequence[Product]:
    """Products by group and name; everybody who works here may see them. ``after``: the last one of the page before."""
    order = (col(Product.group_name), col(Product.name), col(Product.id))
    query = select(Product).where(*asked.conditions()).order_by(*order).limit(limit)
    if after is not None:
        later = or_(
            order[0] > after.group_name,
            (order[0] == after.group_name) & (order[1] > after.name),
            (order[0] == after.group_name) & (order[1] == after.name) & (order[2] > (after.id or 0)),
        )
        query = query.where(later)
    return (await session.exec(query)).all()


async def access_product(session: AsyncSession, product_id: int, *, field: str = "") -> Product:
    """A product, also a retired one. Raises NotFound, or Invalid at ``field``."""
    found = await session.get(Product, product_id)
    if found is None:
        raise not_there("products.not_found", "There is no such product.", field)
    return found


async def product_named(session: AsyncSession, named: str) -> Product | None:
    """The product with this SKU, else the only one with this name; None without one."""
    for column in (Product.sku, Product.name):
        found = (await session.exec(select(Product).where(column == named).limit(2))).all()
        if len(found) == 1:
            return found[0]
    return None


async def product_typed(session: AsyncSession, typed: str) -> Product | None:
    """The product that ``name_for_typing`` gives as ``typed``."""
    found = await product_named(session, typed)
    number = typed.removeprefix("#")
    if found is None and number != typed and number.isascii() and number.isdigit() and len(number) < LONGEST_NUMBER:
        found = await session.get(Product, int(number))
    return found


async def name_for_typing(session: AsyncSession, product: Product) -> str:
    """By what one finds this product again: its SKU, its name if no other has it, else its id as ``#12``."""
    for name in (product.sku, product.name):
        if (
            name
            and "|" not in name
            and (found := await product_named(session, name)) is not None
            and found.id == product.id
        ):
            return name
    return f"#{product.id}"


async def list_groups(session: AsyncSession) -> list[str]:
    """The groups of products that are offered, by name."""
    return await _values(session, col(Product.group_name))


async def list_units(session: AsyncSession) -> list[str]:
    """The units that products have, as suggestions."""
    return await _values(session, col(Product.unit))


async def _values(session: AsyncSession, column: Any) -> list[str]:
    query = select(column).where(column != "", col(Product.retired_at).is_(None)).distinct().order_by(column)
    return list((await session.exec(query.limit(MOST_SUGGESTED))).all())


async def load_templates(session: AsyncSession) -> Sequence[LineTemplate]:
    """The templates of lines that are offered, by name; from memory until one changes."""
    return await cached_until_changed(session, list_templates)


async def list_templates(session: AsyncSession, *, archived: bool = False) -> Sequence[LineTemplate]:
    """Templates of lines by name."""
    gone = col(LineTemplate.archived_at)
    query = select(LineTemplate).where(gone.is_not(None) if archived else gone.is_(None))
    return (await session.exec(query.order_by(col(LineTemplate.name)))).all()


async def access_template(session: AsyncSession, template_id: int, *, field: str = "") -> LineTemplate:
    """A template, also an archived one. Raises NotFound, or Invalid at ``field``."""
    found = await session.get(LineTemplate, template_id)
    if found is None:
        raise not_there("line_templates.not_found", "There is no such template.", field)
    return found


async def lines_of(session: AsyncSession, deal_id: int) -> DealLines:
    """The lines of a deal that the caller may see, in one query. The row of the discount is a new one, which is not stored, where there
    is none.
    """
    query = (
        select(DealLine, DealDiscount)
        .select_from(Deal)
        .outerjoin(DealLine, and_(col(DealLine.deal_id) == Deal.id, col(DealLine.removed_at).is_(None)))
        .outerjoin(DealDiscount, col(DealDiscount.deal_id) == Deal.id)
        .where(Deal.id == deal_id)
        .order_by(col(DealLine.position), col(DealLine.id))
    )
    rows = (await session.exec(query)).all()
    lines: list[DealLine | None] = [row[0] for row in rows]
    whole: DealDiscount | None = next((row[1] for row in rows), None)
    return priced([line for line in lines if line is not None], whole or DealDiscount(deal_id=deal_id))


async def access_line(
    session: AsyncSession, deal_id: int, line_id: int, *, or_removed: bool = False, lock: bool = False
) -> DealLine:
    """A line of a deal that the caller may see. Raises NotFound."""
    query = select(DealLine).where(DealLine.id == line_id, DealLine.deal_id == deal_id)
    if not or_removed:
        query = query.where(col(DealLine.removed_at).is_(None))
    found = (await session.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound("money.no_line", "This line is not on the deal any more.")
    return found


async def is_amount_of_lines(session: AsyncSession, deal: Deal) -> bool:
    """Whether the amount of the deal is the sum of its lines: its pipeline says so, and it has lines."""
    pipeline = (await load_funnel(session)).pipelines.get(deal.pipeline_id)
    if pipeline is None or not pipeline.amount_by_lines:
        return False
    query = select(DealLine.id).where(DealLine.deal_id == deal.id, col(DealLine.removed_at).is_(None)).limit(1)
    return (await session.exec(query)).first() is not None


def limit_of(role: str, options: Options) -> Decimal:
    """The largest discount in per cent that people with this role give on their own."""
    if role == Role.ADMIN:
        return WHOLE
    known = {Role.SELLER.value: options.discount_limit_seller, Role.MANAGER.value: options.discount_limit_manager}
    return Decimal(known.get(role, 0))


async def own_limit(session: AsyncSession, viewer: Viewer) -> Decimal:
    """The same for the viewer."""
    return limit_of(viewer.role, await load_options(session))


async def formula_fields(session: AsyncSession, deal: Deal) -> dict[str, Value]:
    """What formulas of a deal's lines may read of it. Not the amount and what is computed from it: the amount may depend on the lines."""
    values = await values_for_formulas(session, FieldEntity.DEAL, deal)
    gone = await _by_amount(session)
    return {key: value for key, value in values.items() if key not in gone}


async def formula_names(session: AsyncSession) -> list[str]:
    """The names of these fields."""
    gone = await _by_amount(session)
    return [key for key in await names_for_formulas(session, FieldEntity.DEAL) if key not in gone]


async def _by_amount(session: AsyncSession) -> frozenset[str]:
    computed = (await load_fields(session)).computed(FieldEntity.DEAL)
    return reading_any({"amount"}, computed) | {"amount"}


async def formula_time(session: AsyncSession, deal: Deal, now: datetime) -> FormulaTime:
    """The time and working hours of whoever is responsible for the deal."""
    return FormulaTime(now, await hours_for_formulas(session, FieldEntity.DEAL, deal))
