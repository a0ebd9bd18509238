"""Products and lines on their pages: added while typing, changed in their place, asked for and approved, by a template, undone."""

from decimal import Decimal
from io import BytesIO

from openpyxl import load_workbook

from pbxcrm.money.product_actions import ProductDraft, add_product
from pbxcrm.money.queries import lines_of
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_deal_people import PART, viewer_of_login
from tests.integration.web.test_settings_pages import make_deal

HOSTILE = "<img src=x onerror=alert(1)>"


async def product(database: Database, clock: SetClock, name: str = "Plaster", price: str = "245.50") -> int:
    async with database.write() as session:
        admin = await viewer_of_login(session, "admin")
        draft = ProductDraft(name, Decimal(price), f"SKU-{name}"[:20], "Walls", "goods", "bag", Decimal(20))
        return (await add_product(session, admin, draft, clock(), currency="UAH")).id or 0


async def test_lines_of_a_deal(browser: Browsers, database: Database, clock: SetClock) -> None:
    _client, deal_id = await make_deal(database, clock)
    product_id = await product(database, clock, HOSTILE)
    olena, iryna, dmytro = await browser("olena"), await browser("iryna"), await browser("dmytro")
    path = f"/deals/{deal_id}/lines"
    assert (await dmytro.get(path)).status_code == 404
    found = await olena.get(f"{path}/find", params={"product": "img"})
    assert f'data-id="{product_id}"' in found.text
    assert HOSTILE not in found.text
    answer = await olena.post(path, data={"product_id": str(product_id), "product": "x", "quantity": "2"}, headers=PART)
    assert answer.status_code == 200
    assert "491" in answer.text
    assert HOSTILE not in answer.text
    answer = await olena.post(path, data={"product": "Work", "quantity": "=2*3"}, headers=PART)
    assert answer.status_code == 422  # a text of one's own needs a price
    answer = await olena.post(path, data={"product": "Work", "quantity": "=2*3", "price": "100,50"}, headers=PART)
    assert answer.status_code == 200
    async with database.read() as session:
        lines = (await lines_of(session, deal_id)).lines
    assert [line.quantity for line in lines] == [Decimal(2), Decimal(6)]
    work = f"{path}/{lines[1].id}"
    typed = {"name": "Work", "quantity": "=2*(3", "price": "100.50", "version": "1"}
    answer = await olena.post(work, data=typed, headers=PART)
    assert answer.status_code == 422
    assert "=2*(3" in answer.text  # what was typed stays
    typed |= {"quantity": "6", "discount": "20 %"}
    answer = await olena.post(work, data=typed, headers=PART)
    assert answer.status_code == 422
    assert 'name="why"' in answer.text
    answer = await olena.post(work, data=typed | {"why": "A big client"}, headers=PART)
    assert answer.status_code == 200
    assert "A big client" in answer.text
    assert (await olena.post(work, data=typed | {"discount": ""}, headers=PART)).status_code == 409  # an old version
    assert (await olena.post(f"{path}/decide", data={"act": "approve"}, headers=PART)).status_code == 403
    decision = {"act": "refuse", "deal_line_id": str(lines[1].id)}
    assert (await iryna.post(f"{path}/decide", data=decision, headers=PART)).status_code == 422  # say why not
    answer = await iryna.post(f"{path}/decide", data=decision | {"act": "approve"}, headers=PART)
    assert answer.status_code == 200
    page = (await olena.get(f"/deals/{deal_id}")).text
    assert 'id="deal-lines"' in page
    assert page.count("Work") > 1
    assert (await olena.post(f"{work}/remove", headers=PART)).status_code == 200
    assert "Work" not in (await olena.get(path)).text
    assert (await olena.post(f"{path}/undo", headers=PART)).status_code == 200
    assert "Work" in (await olena.get(path)).text
    answer = await olena.post(f"{path}/discount", data={"discount": "about 5"}, headers=PART)
    assert answer.status_code == 422
    assert (
        await olena.post(f"{path}/discount", data={"discount": "10"}, headers=PART)
    ).status_code == 422  # 20 % and more
    assert (await iryna.post(f"{path}/discount", data={"discount": "10"}, headers=PART)).status_code == 200
    async with database.read() as session:
        assert (await lines_of(session, deal_id)).price.total == Decimal("963.40")  # 491 + 482.40 − 10


async def test_the_catalogue_and_a_template(browser: Browsers, database: Database, clock: SetClock) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    settings = "/settings/products"
    assert (await olena.get(settings)).status_code == 403
    new = {
        "name": "Wallpaper",
        "sku": "WP",
        "group": "Walls",
        "kind": "goods",
        "unit": "roll",
        "price": "620",
        "vat_rate": "",
    }
    assert (await admin.post(f"{settings}/new", data=new | {"price": "much"})).status_code == 422
    assert (await admin.post(f"{settings}/new", data=new)).status_code == 303
    listed = (await admin.get(settings, params={"q": "wallp"})).text
    assert "Wallpaper" in listed
    assert "Wallpaper" not in (await admin.get(settings, params={"q": "nothing"})).text
    template = {
        "name": "Room",
        "inputs": "length_m | Length | m | 5\nwidth_m | Width | m | 6\nheight_m | Ceiling | m | 3",
        "values": "walls = 2 * (length_m + width_m) * height_m",
        "lines": "WP | ceil(walls / 5.3)\nWork | walls | 380 | m² | 20",
    }
    wrong = await admin.post(f"{settings}/templates/new", data=template | {"lines": "WP | 1\nNo such | 2"})
    assert wrong.status_code == 422
    assert "Line 2" in wrong.text
    assert (await admin.post(f"{settings}/templates/new", data=template)).status_code == 303
    page = (await admin.get(f"{settings}/templates/1")).text
    assert "WP | ceil(walls / 5.3)" in page
    path = f"/deals/{deal_id}/lines"
    asked = (await olena.get(path, params={"template_id": "1"}, headers=PART)).text
    assert 'name="input.length_m"' in asked
    form = {"template_id": "1", "input.length_m": "5", "input.width_m": "6", "input.height_m": "3"}
    assert (
        await olena.post(f"{path}/template", data=form | {"input.width_m": "wide"}, headers=PART)
    ).status_code == 422
    answer = await olena.post(f"{path}/template", data=form, headers=PART)
    assert answer.status_code == 200
    async with database.read() as session:
        assert [line.quantity for line in (await lines_of(session, deal_id)).lines] == [Decimal(13), Decimal(66)]
    again = {"discount_limit_seller": "200", "discount_limit_manager": "50", "same_product": "skip"}
    assert (await admin.post(f"{settings}/options", data=again)).status_code == 422
    assert (await admin.post(f"{settings}/options", data=again | {"discount_limit_seller": "20"})).status_code == 303
    retired = await admin.post(f"{settings}/1/retire")
    assert retired.status_code == 303
    assert "Wallpaper" not in (await admin.get(settings)).text
    assert (await admin.post(f"{settings}/templates/1/archive")).status_code == 303
    assert "template_id" not in (await olena.get(path)).text


async def test_formulas_are_checked_while_they_are_typed(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin, olena = await browser("admin"), await browser("olena")
    path = f"/deals/{deal_id}/lines/compute"
    asked = {"quantity": "= 2 * (5 + width) * 3", "input.width": "6"}
    assert "= 66" in (await olena.get(path, params=asked, headers=PART)).text
    assert "character 15" in (await olena.get(path, params={"quantity": "= 2 * (5 + 6) / "}, headers=PART)).text
    assert "division by zero" in (await olena.get(path, params={"quantity": "=1/0"}, headers=PART)).text
    assert (await olena.get(path, params={"quantity": "12"}, headers=PART)).text.strip() == ""
    long = await olena.get(path, params={"quantity": "=" + "1+" * 3000 + "1"}, headers=PART)
    assert "at most 1000 characters" in long.text

    settings = "/settings/products"
    for name, price in (("=1+1", "5"), ("<b>Paint</b>", "10"), ("A | B", "7")):
        new = {"name": name, "group": "", "kind": "goods", "unit": "l", "price": price}
        assert (await admin.post(f"{settings}/new", data=new)).status_code == 303
    template = {
        "name": "Room",
        "inputs": "area_m | Area | m² | 20",
        "values": "coats = 2",
        "lines": "<b>Paint</b> | area_m * coats / 8\n#3 | 1",
    }
    said = (await admin.post(f"{settings}/templates/check", data=template, headers=PART)).text
    assert "&lt;b&gt;Paint&lt;/b&gt;" in said
    assert "57" in said  # 5 × 10 + 1 × 7
    assert "<b>Paint" not in said
    wrong = template | {"values": "coats = more + 1\nmore = coats"}
    assert "coats → more → coats" in (await admin.post(f"{settings}/templates/check", data=wrong, headers=PART)).text
    assert (await admin.post(f"{settings}/templates/new", data=template)).status_code == 303
    assert "#3 | 1" in (await admin.get(f"{settings}/templates/1")).text  # a name that the form could not read again

    listed = (await admin.get(settings, params={"q": "paint"}, headers=PART)).text
    assert "&lt;b&gt;Paint" in listed
    assert "Nothing found" in (await admin.get(settings, params={"q": "nothing"}, headers=PART)).text
    csv = (await admin.get(settings, params={"format": "csv"})).text
    assert ",'=1+1," in csv  # a spreadsheet reads it as a text
    book = await admin.get(settings, params={"format": "xlsx"})
    cells = [cell for row in load_workbook(BytesIO(book.content)).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value == "=1+1"} == {"s"}
