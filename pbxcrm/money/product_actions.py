"""Changing the catalogue."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.money.models import Product, ProductKind
from pbxcrm.money.queries import access_product
from pbxcrm.money.rules import check_price, check_rate
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.texts import one_line


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """A product as it was entered."""

    name: str
    price: Decimal | None
    sku: str = ""
    group: str = ""
    kind: str = ProductKind.GOODS.value
    unit: str = ""
    vat_rate: Decimal | None = None


async def add_product(
    session: AsyncSession, viewer: Viewer, draft: ProductDraft, now: datetime, *, currency: str
) -> Product:
    """Add a product whose price is in ``currency``. Raises Invalid at the field, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    product = Product(name="", price=Decimal(0), currency=currency)
    await _fill(session, product, draft)
    session.add(product)
    await session.flush()
    record(session, now, "product.created", "product", product.id, actor=viewer, name=product.name)
    _say_changed(session, product, now)
    return product


async def change_product(
    session: AsyncSession, viewer: Viewer, product_id: int, draft: ProductDraft, now: datetime, *, version: int | None
) -> Product:
    """Change a product. Lines that have it stay as they are. Raises Invalid, NotFound, Conflict for an old ``version``."""
    product = await _lock(session, viewer, product_id, version)
    before = _said(product)
    await _fill(session, product, draft)
    changed = differences(before, _said(product))
    if changed:
        product.version += 1
        record(session, now, "product.changed", "product", product.id, actor=viewer, changed=changed)
        _say_changed(session, product, now)
    return product


async def retire_product(
    session: AsyncSession, viewer: Viewer, product_id: int, now: datetime, *, is_retired: bool = True
) -> Product:
    """Offer it no more, or again. Deals keep their lines. Raises NotFound."""
    product = await _lock(session, viewer, product_id, None)
    if (product.retired_at is not None) != is_retired:
        product.retired_at = now if is_retired else None
        product.version += 1
        said = "product.retired" if is_retired else "product.restored"
        record(session, now, said, "product", product.id, actor=viewer, name=product.name)
        _say_changed(session, product, now)
    return product


async def _lock(session: AsyncSession, viewer: Viewer, product_id: int, version: int | None) -> Product:
    check(viewer, Permission.SETTINGS_EDIT)
    await access_product(session, product_id)
    product = await lock_row(session, Product, product_id)
    if version is not None and product.version != version:
        raise Conflict("products.stale", "Somebody else has changed this product meanwhile. Look at it again.")
    return product


async def _fill(session: AsyncSession, product: Product, draft: ProductDraft) -> None:
    product.name = check_line(
        draft.name, Product.name, "name", "products.name", "Write a name of up to {most} characters."
    )
    product.price = check_price(draft.price, "price")
    product.vat_rate = check_rate(draft.vat_rate, "vat_rate")
    product.group_name = one_line(check_optional_text(draft.group, Product.group_name, "group"))
    product.unit = one_line(check_optional_text(draft.unit, Product.unit, "unit"))
    if draft.kind not in set(ProductKind):
        raise Invalid("kind", "products.kind", "Choose goods or a service.")
    product.kind = draft.kind
    sku = one_line(check_optional_text(draft.sku, Product.sku, "sku")) or None
    with session.no_autoflush:
        other = (await session.exec(select(Product).where(Product.sku == sku))).first() if sku else None
    if other is not None and other.id != product.id:
        raise Invalid("sku", "products.sku", "“{name}” has this SKU already.", name=other.name)
    product.sku = sku


def _said(product: Product) -> dict[str, str | None]:
    rate = product.vat_rate
    return {
        "name": product.name,
        "sku": product.sku,
        "group": product.group_name,
        "kind": product.kind,
        "unit": product.unit,
        "price": str(product.price),
        "vat_rate": None if rate is None else str(rate),
    }


def _say_changed(session: AsyncSession, product: Product, now: datetime) -> None:
    emit(session, "product", product.id, now, roles=[role.value for role in Role])
