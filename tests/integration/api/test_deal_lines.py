"""Products, lines and discounts over the API."""

from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.office import Office


async def test_products_and_lines(programs: Programs, database: Database, office: Office) -> None:
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        deal_id = (await create_deal(session, viewer, title="Flat", now=NOON, currency="UAH", region="UA")).id
    ivan, maria, petro, admin = [await programs.as_(login) for login in ("ivan", "maria", "petro", "admin")]
    product = {"name": "Plaster", "price": "245.50", "sku": "PL", "unit": "bag", "vat_rate": "20"}
    assert (await ivan.post("/api/v1/products", json=product)).status_code == 403
    made = await admin.post("/api/v1/products", json=product)
    assert made.status_code == 201, made.text
    one = f"/api/v1/products/{made.json()['id']}"
    assert made.headers["location"].endswith(one.removeprefix("/api/v1"))
    assert (await admin.post("/api/v1/products", json=product)).status_code == 422  # the same SKU
    assert (await ivan.get(one)).json()["price"] == "245.50"
    assert (await admin.patch(one, json={"price": "250", "version": 1})).json()["version"] == 2
    assert (await admin.patch(one, json={"price": "251", "version": 1})).status_code == 409
    for name in ("Paint", "Brush"):
        await admin.post("/api/v1/products", json={"name": name, "price": "10"})
    page = (await ivan.get("/api/v1/products", params={"limit": 2})).json()
    names = [each["name"] for each in page["items"]]
    rest = (await ivan.get("/api/v1/products", params={"limit": 2, "cursor": page["next"]})).json()
    assert [*names, *(each["name"] for each in rest["items"])] == ["Brush", "Paint", "Plaster"]

    lines = f"/api/v1/deals/{deal_id}/lines"
    assert (await petro.get(lines)).status_code == 404
    body = {
        "items": [
            {"product_id": made.json()["id"], "quantity": "2"},
            {"name": "Work", "formula": "a * 2", "inputs": {"a": "3"}, "price": "100.05", "discount_percent": "9.9"},
        ],
        "discount_money": "0.55",
    }
    answer = await ivan.put(lines, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [each["net"] for each in found["items"]] == ["500.00", "540.87"]
    assert found["total"] == "1040.32"
    assert sum(round(float(each["total"]) * 100) for each in found["items"]) == 104032
    assert found["vat"] == [{"rate": "20.00", "amount": "499.74", "vat": "83.29"}]
    kept = {"id": found["items"][1]["id"], "name": "Work", "price": "100.05", "quantity": "1", "discount_percent": "30"}
    old = {"items": [kept], "version": found["version"] - 1}
    assert (await ivan.put(lines, json=old)).status_code == 409
    refused = await ivan.put(lines, json={"items": [kept]})
    assert (refused.status_code, refused.json()["code"]) == (422, "money.say_why")
    asked = (await ivan.put(lines, json={"items": [kept | {"discount_why": "A friend"}]})).json()
    assert asked["items"][0]["asked"] == {"percent": "30.00", "money": None, "why": "A friend", "by": "ivan"}
    decision = {"deal_line_id": kept["id"], "approve": True}
    assert (await ivan.post(f"{lines}/discount", json=decision)).status_code == 403
    decided = (await maria.post(f"{lines}/discount", json=decision)).json()
    assert (decided["items"][0]["discount_percent"], decided["items"][0]["asked"]) == ("30.00", None)
    assert (await maria.post(f"{lines}/discount", json=decision)).status_code == 409
    added = await ivan.post(lines, json={"product_id": made.json()["id"], "same": "add"})
    assert len(added.json()["items"]) == 2
    assert len((await ivan.post(f"{lines}/undo")).json()["items"]) == 1
    assert (await ivan.post(f"{lines}/undo")).status_code == 409

    template = {
        "name": "Room",
        "inputs": [{"key": "area", "name": "Area", "unit": "m²", "value": "20"}],
        "lines": [{"formula": "ceil(area / 4)", "product_id": made.json()["id"]}],
    }
    assert (await admin.post("/api/v1/line-templates", json=template | {"lines": []})).status_code == 422
    room = (await admin.post("/api/v1/line-templates", json=template)).json()
    assert (await ivan.get("/api/v1/line-templates")).json()["items"] == [room]
    applied = await ivan.post(f"{lines}/template", json={"template_id": room["id"], "inputs": {"area": "30"}})
    assert applied.json()["items"][-1]["quantity"] == "8"
    path = f"/api/v1/line-templates/{room['id']}"
    assert (await admin.put(path, json=template | {"archived": True, "version": 1})).json()["archived"] is True
    assert (await ivan.get("/api/v1/line-templates")).json()["items"] == []
    assert (await admin.patch(one, json={"retired": True})).json()["retired"] is True
    assert (await ivan.post(lines, json={"product_id": made.json()["id"]})).status_code == 422
