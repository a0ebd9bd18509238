"""Takes a client who is erased out of the lines of their deals: words, not what was sold at which price."""

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import GONE, Erasing
from pbxcrm.money.models import DealDiscount, DealLine, Product
from pbxcrm.shared.core_sql import load_by_id, one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_lines(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``: a line of a product is called after it again; a free text, formulas and reasons go. The deals
    say that they changed.
    """
    lines = await lock_rows(session, DealLine, one_of(session, col(DealLine.deal_id), erasing.held.deals))
    products = await load_by_id(session, Product, [line.product_id for line in lines])
    for line in lines:
        product = products.get(line.product_id)
        line.name, line.unit = (product.name, product.unit) if product is not None else (GONE, "")
        line.formula, line.inputs, line.asked_why = "", {}, ""
        line.version += 1
    for discount in await lock_rows(
        session, DealDiscount, one_of(session, col(DealDiscount.deal_id), erasing.held.deals)
    ):
        discount.asked_why = ""
        discount.version += 1
    await session.flush()
