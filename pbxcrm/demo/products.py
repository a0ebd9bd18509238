"""The catalogue of the sample company, a template of lines, and what two of its clients want, made by the actions of ``money``."""

from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.deals.models import Deal
from pbxcrm.demo.samples import SAMPLES
from pbxcrm.money.line_actions import add_line
from pbxcrm.money.line_drafts import LineDraft
from pbxcrm.money.product_actions import ProductDraft, add_product
from pbxcrm.money.template_actions import AskedValue, TemplateDraft, TemplateLine, apply_template, save_template

VAT = Decimal(20)
CATALOGUE = (
    ProductDraft("Oak door 80 cm", Decimal(8900), "DR-080", "Doors", "goods", "pcs", VAT),
    ProductDraft("Door handle, brass", Decimal(760), "DR-H1", "Doors", "goods", "pcs", VAT),
    ProductDraft("Fitting of a door", Decimal(1500), "SV-DR", "Works", "service", "pcs", VAT),
    ProductDraft("Plaster, bag of 30 kg", Decimal("245.50"), "WL-PL", "Walls", "goods", "bag", VAT),
    ProductDraft("Wallpaper", Decimal(620), "WL-WP", "Walls", "goods", "roll", VAT),
    ProductDraft("Work on walls", Decimal(380), "SV-WL", "Works", "service", "m²", VAT),
    ProductDraft("Oak flooring", Decimal(1250), "FL-OK", "Floors", "goods", "m²", VAT),
    ProductDraft("Delivery", Decimal(900), "SV-DL", "Works", "service", "trip", VAT),
)


async def add_products(
    session: AsyncSession, admin: Viewer, people: dict[str, Viewer], currency: str, at: datetime
) -> None:
    """Make the catalogue and "room under the key", and give the first two samples their lines."""
    ids = {each.sku: (await add_product(session, admin, each, at, currency=currency)).id or 0 for each in CATALOGUE}
    room = TemplateDraft(
        "Room under the key",
        [
            AskedValue("length_m", "Length", "m", "5"),
            AskedValue("width_m", "Width", "m", "6"),
            AskedValue("height_m", "Ceiling", "m", "3"),
            AskedValue("walls_of", "Walls: brick or board", "", "brick"),
        ],
        [("walls", "2 * (length_m + width_m) * height_m")],
        [
            TemplateLine("if(walls_of = 'brick', ceil(walls / 4), 0)", ids["WL-PL"]),
            TemplateLine("ceil(walls * 1.1 / 5.3)", ids["WL-WP"]),
            TemplateLine("walls", ids["SV-WL"]),
        ],
    )
    template = await save_template(session, admin, None, room, at)
    for sample, by_template in zip(SAMPLES[:2], (True, False), strict=True):
        owner = people[sample.owner]
        query = select(Deal.id).where(Deal.title == sample.title).order_by(col(Deal.id).desc()).limit(1)
        deal_id = (await session.exec(query)).one() or 0
        if by_template:
            await apply_template(session, owner, deal_id, template.id or 0, {}, at)
            continue
        await add_line(session, owner, deal_id, LineDraft(product_id=ids["DR-080"], quantity=Decimal(3)), at)
        handles = LineDraft(product_id=ids["DR-H1"], quantity=Decimal(3), percent=Decimal(10))
        await add_line(session, owner, deal_id, handles, at)
        await add_line(session, owner, deal_id, LineDraft(product_id=ids["SV-DR"], quantity=Decimal(3)), at)
