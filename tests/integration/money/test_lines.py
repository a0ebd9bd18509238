"""Lines of deals on both databases: prices, formulas, the amount of the deal, discounts that are asked for, undo, merges."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.pipeline_actions import change_pipeline, create_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.deals.queries import access_deal, stage_of_kind
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.money.discount_actions import decide_discount, withdraw_discount
from pbxcrm.money.line_actions import (
    UNDO_WITHIN,
    add_line,
    change_line,
    move_line,
    remove_line,
    set_lines,
    set_whole,
    undo_lines,
)
from pbxcrm.money.line_drafts import LineDraft, SameProduct, WholeDraft
from pbxcrm.money.line_rules import DealLines
from pbxcrm.money.models import Product
from pbxcrm.money.product_actions import ProductDraft, add_product, retire_product
from pbxcrm.money.queries import lines_of
from pbxcrm.money.template_actions import (
    AskedValue,
    TemplateDraft,
    TemplateLine,
    apply_template,
    archive_template,
    save_template,
)
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.timers import sweep
from pbxcrm.tasks.models import Task, TaskStatus
from tests.calls import NOON
from tests.office import Office

D = Decimal


class Shop:
    """A deal of Ivan's, a product, and acts of people."""

    def __init__(self, database: Database, office: Office) -> None:
        self.database, self.office = database, office
        self.deal_id = self.product_id = 0

    async def do(self, login: str, act: Any, *args: Any, **more: Any) -> Any:
        async with self.database.write() as session:
            return await act(session, await self.office.viewer(session, login), *args, **more)

    async def lines(self, deal_id: int | None = None) -> DealLines:
        async with self.database.read() as session:
            return await lines_of(session, deal_id or self.deal_id)

    async def deal(self) -> Deal:
        async with self.database.read() as session:
            return await session.get_one(Deal, self.deal_id)

    async def add(self, login: str = "ivan", **draft: Any) -> DealLines:
        found: DealLines = await self.do(login, add_line, self.deal_id, LineDraft(**draft), NOON)
        return found

    async def tasks(self, login: str, *, status: TaskStatus = TaskStatus.OPEN) -> list[Task]:
        async with self.database.read() as session:
            query = select(Task).where(Task.assignee_id == self.office.id(login), Task.status == status.value)
            return list((await session.exec(query.order_by(col(Task.id)))).all())

    async def by_lines(self, *, on: bool = True) -> None:
        pipeline_id = (await self.deal()).pipeline_id
        await self.do("admin", change_pipeline, pipeline_id, PipelineChange(amount_by_lines=on), now=NOON)


async def _new_deal(database: Database, office: Office, title: str = "Flat", login: str = "ivan", **more: Any) -> int:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        made = await create_deal(
            session, viewer, title=title, now=NOON, currency="UAH", region="UA", second=True, **more
        )
    return made.id or 0


@pytest.fixture
async def shop(database: Database, office: Office) -> Shop:
    found = Shop(database, office)
    found.deal_id = await _new_deal(database, office)
    draft = ProductDraft("Plaster Knauf", D("245.50"), "KN-30", "Walls", "goods", "bag", D(20))
    product: Product = await found.do("admin", add_product, draft, NOON, currency="UAH")
    found.product_id = product.id or 0
    return found


async def test_a_line_takes_over_its_product_and_keeps_it(shop: Shop) -> None:
    found = await shop.add(product_id=shop.product_id, quantity=D(2))
    line = found.lines[0]
    assert (line.name, line.unit, line.price, line.vat_rate) == ("Plaster Knauf", "bag", D("245.50"), D(20))
    assert found.price.total == D("491.00")
    assert [(part.vat, part.rate) for part in found.price.vat] == [(D("81.83"), D(20))]
    await shop.do("admin", retire_product, shop.product_id, NOON)
    assert (await shop.lines()).lines[0].name == "Plaster Knauf"
    with pytest.raises(Invalid) as refused:
        await shop.add(product_id=shop.product_id)
    assert refused.value.field == "product_id"
    with pytest.raises(NotAllowed):
        await shop.do("maria", retire_product, shop.product_id, NOON)


async def test_a_product_that_is_there_already(shop: Shop) -> None:
    for same, expected in (
        (None, [D(3)]),  # the options say: one line
        (SameProduct.SKIP, [D(3)]),
        (SameProduct.ADD, [D(3), D(2)]),
    ):
        if same is None:
            await shop.add(product_id=shop.product_id, quantity=D(1))
        draft = LineDraft(product_id=shop.product_id, quantity=D(2))
        found = await shop.do("ivan", add_line, shop.deal_id, draft, NOON, same=same)
        assert [line.quantity for line in found.lines] == expected


async def test_who_may_not(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await shop.add("petro", name="Work", price=D(1))
    with pytest.raises(NotAllowed):
        await shop.add("kira", name="Work", price=D(1))
    with pytest.raises(Invalid) as refused:
        await shop.add(name=" ", price=D(1))
    assert refused.value.field == "name"
    with pytest.raises(Invalid) as refused:
        await shop.add(name="Work")
    assert refused.value.field == "price"


async def test_the_amount_follows_the_lines_where_the_pipeline_says_so(shop: Shop) -> None:
    await shop.add(product_id=shop.product_id, quantity=D(2))
    assert (await shop.deal()).amount is None
    await shop.do("ivan", edit_deal, shop.deal_id, version=None, now=NOON, values={"amount": D(5)})
    await shop.by_lines()
    await sweep(shop.database, NOON + timedelta(seconds=1))
    assert (await shop.deal()).amount == D("491.00")
    await shop.add(name="Work", price=D("100.10"), quantity=D("1.5"))
    assert (await shop.deal()).amount == D("641.15")
    with pytest.raises(Invalid) as refused:
        await shop.do("ivan", edit_deal, shop.deal_id, version=None, now=NOON, values={"amount": D(5)})
    assert refused.value.field == "amount"
    await shop.do("ivan", set_whole, shop.deal_id, WholeDraft(percent=D(10)), NOON)
    found, deal = await shop.lines(), await shop.deal()
    assert deal.amount == found.price.total == D("577.03")  # 641.15 − 64.12
    await shop.do("ivan", set_lines, shop.deal_id, [], None, NOON, version=deal.version)
    await shop.do("ivan", edit_deal, shop.deal_id, version=None, now=NOON, values={"amount": D(5)})  # an estimate
    with pytest.raises(Conflict):
        await shop.do("ivan", set_lines, shop.deal_id, [], None, NOON, version=deal.version)


async def test_a_quantity_by_formula_follows_the_fields_of_the_deal(shop: Shop) -> None:
    more = {"entity": FieldEntity.DEAL, "kind": "number", "currency": "UAH", "key": "area"}
    await shop.do("admin", create_field, **more, draft=FieldDraft(name="Area"), now=NOON)
    await shop.by_lines()
    with pytest.raises(Invalid) as refused:
        await shop.add(name="Work", price=D(10), formula="area * layers", inputs={"layers": "2"})
    assert (refused.value.field, refused.value.code) == ("formula", "formulas.empty_field")
    await _set(shop, {"area": "30"})
    found = await shop.add(name="Work", price=D(10), formula="area * layers", inputs={"layers": "2"})
    assert found.lines[0].quantity == D(60)
    await _set(shop, {"area": "31.5"})
    line = (await shop.lines()).lines[0]
    assert (line.quantity, line.version) == (D(63), 2)
    assert (await shop.deal()).amount == D("630.00")
    await _set(shop, {"area": ""})
    assert (await shop.lines()).lines[0].quantity == D(63)  # the last one that could be computed


async def _set(shop: Shop, custom: Mapping[str, str]) -> None:
    await shop.do("ivan", edit_deal, shop.deal_id, version=None, now=NOON, custom=custom)


async def test_a_discount_above_the_limit_is_asked_for_and_approved(shop: Shop) -> None:
    found = await shop.add(product_id=shop.product_id, quantity=D(10), percent=D(10))
    assert found.price.total == D("2209.50")
    line = found.lines[0]
    with pytest.raises(Invalid) as refused:
        await _change(shop, line.id, quantity=D(10), percent=D(15))
    assert (refused.value.field, refused.value.code) == ("why", "money.say_why")
    found = await _change(shop, line.id, quantity=D(10), percent=D(15), why="A chain of ten shops")
    assert (found.lines[0].discount_percent, found.lines[0].asked_percent) == (D(10), D(15))
    assert found.price.total == D("2209.50")
    [task] = await shop.tasks("maria")
    assert "15 %" in str(task.reason)
    found = await _change(shop, line.id, quantity=D(20), percent=D(10))  # another value leaves what is asked
    assert found.lines[0].asked_percent == D(15)
    with pytest.raises(NotAllowed):
        await shop.do("ivan", decide_discount, shop.deal_id, line.id, NOON, is_approved=True)
    found = await shop.do("maria", decide_discount, shop.deal_id, line.id, NOON, is_approved=True)
    assert (found.lines[0].discount_percent, found.lines[0].asked_percent) == (D(15), None)
    assert found.price.total == D("4173.50")
    assert await shop.tasks("maria") == []
    [told] = await shop.tasks("ivan")
    assert "15 %" in told.title
    found = await _change(shop, line.id, quantity=D(21), percent=D(15))  # what was approved stays
    assert found.lines[0].discount_percent == D(15)
    with pytest.raises(Conflict):
        await shop.do("maria", decide_discount, shop.deal_id, line.id, NOON, is_approved=True)


async def _change(shop: Shop, line_id: int | None, **draft: Any) -> DealLines:
    found: DealLines = await shop.do("ivan", change_line, shop.deal_id, line_id, LineDraft(**draft), NOON, version=None)
    return found


async def test_a_refusal_says_why_and_a_request_can_be_taken_back(shop: Shop) -> None:
    line_id = (await shop.add(name="Work", price=D(100), money=D(50), why="They asked")).lines[0].id
    with pytest.raises(Invalid) as refused:
        await shop.do("maria", decide_discount, shop.deal_id, line_id, NOON, is_approved=False)
    assert refused.value.field == "why"
    found = await shop.do("maria", decide_discount, shop.deal_id, line_id, NOON, is_approved=False, why="No margin")
    assert (found.lines[0].asked_money, found.price.total) == (None, D("100.00"))
    assert "No margin" in str((await shop.tasks("ivan"))[0].reason)
    await _change(shop, line_id, name="Work", price=D(100), money=D(60), why="Please")
    await _change(shop, line_id, name="Work", price=D(100), money=D(70), why="Please!")
    assert len(await shop.tasks("maria")) == 1  # the new request replaces the old one
    await shop.do("ivan", withdraw_discount, shop.deal_id, line_id, NOON)
    assert await shop.tasks("maria") == []
    with pytest.raises(Conflict):
        await shop.do("ivan", withdraw_discount, shop.deal_id, line_id, NOON)


async def test_no_way_around_the_limit(shop: Shop) -> None:
    with pytest.raises(Invalid) as refused:
        await shop.add(product_id=shop.product_id, price=D(200))  # 18.5 % below the list
    assert (refused.value.field, refused.value.code) == ("price", "money.price_low")
    line_id = (await shop.add(product_id=shop.product_id, quantity=D(100), money=D(2000))).lines[0].id  # 8.1 %
    found = await _change(shop, line_id, quantity=D(9), money=D(2000), why="Fewer")
    assert (found.lines[0].discount_money, found.lines[0].asked_money) == (None, D(2000))
    await shop.do("ivan", set_lines, shop.deal_id, [], WholeDraft(), NOON, version=None)
    line_id = (await shop.add(name="Work", price=D(100), quantity=D(10), percent=D(8))).lines[0].id
    found = await shop.do("ivan", set_whole, shop.deal_id, WholeDraft(percent=D(8), why="Both"), NOON)
    assert (found.whole.discount_percent, found.whole.asked_percent) == (None, D(8))  # together 15.36 %
    assert (await shop.tasks("maria"))[-1].about == f"discount:deal:{shop.deal_id}"
    found = await shop.do("maria", decide_discount, shop.deal_id, None, NOON, is_approved=True)
    assert found.price.total == D("846.40")
    found = await shop.do("maria", set_whole, shop.deal_id, WholeDraft(percent=D(100)), NOON)  # a manager may
    assert found.price.total == 0
    assert line_id is not None


async def test_one_s_own_latest_change_is_undone(shop: Shop) -> None:
    line_id = (await shop.add(product_id=shop.product_id, quantity=D(2))).lines[0].id
    await shop.add(name="Work", price=D(10))
    await _change(shop, line_id, quantity=D(5), price=D(240))
    found = await shop.do("ivan", undo_lines, shop.deal_id, NOON)
    assert [(line.quantity, line.price) for line in found.lines] == [(D(2), D("245.50")), (D(1), D(10))]
    with pytest.raises(Conflict):
        await shop.do("ivan", undo_lines, shop.deal_id, NOON)
    await shop.do("ivan", remove_line, shop.deal_id, line_id, NOON)
    assert [line.name for line in (await shop.lines()).lines] == ["Work"]
    with pytest.raises(Conflict):
        await shop.do("maria", undo_lines, shop.deal_id, NOON)
    with pytest.raises(Conflict):
        await shop.do("ivan", undo_lines, shop.deal_id, NOON + UNDO_WITHIN + timedelta(seconds=1))
    found = await shop.do("ivan", undo_lines, shop.deal_id, NOON)
    assert [line.name for line in found.lines] == ["Plaster Knauf", "Work"]
    found = await shop.do("ivan", move_line, shop.deal_id, line_id, NOON, up=False)
    assert [line.name for line in found.lines] == ["Work", "Plaster Knauf"]
    async with shop.database.read() as session:
        acts = (await session.exec(select(AuditEntry.data).where(AuditEntry.action == "deal.lines"))).all()
    assert acts[0]["lines"][0]["act"] == "added"


async def test_two_tabs(shop: Shop) -> None:
    line = (await shop.add(name="Work", price=D(10))).lines[0]
    draft = LineDraft(name="Work", price=D(11))
    await shop.do("ivan", change_line, shop.deal_id, line.id, draft, NOON, version=line.version)
    with pytest.raises(Conflict):
        await shop.do("ivan", change_line, shop.deal_id, line.id, draft, NOON, version=line.version)
    each = [shop.add(login, name=f"Work {n}", price=D(10)) for n, login in enumerate(["ivan", "maria"] * 3)]
    await asyncio.gather(*each)
    found = await shop.lines()
    assert len(found.lines) == 7
    assert found.price.total == D(71)


async def test_a_merge_takes_the_lines_along_and_its_undo_gives_them_back(shop: Shop, office: Office) -> None:
    await shop.by_lines()
    number = {"client_number": "+380671112233"}
    this = await _new_deal(shop.database, office, "One", **number)
    into = shop.deal_id = await _new_deal(shop.database, office, "Two", **number)
    await shop.do("ivan", add_line, this, LineDraft(name="Work", price=D(100)), NOON)
    await shop.do("ivan", set_whole, this, WholeDraft(percent=D(10)), NOON)
    await shop.add(name="Paint", price=D(10))
    merge = await shop.do("ivan", merge_deals, this, into, now=NOON)
    found = await shop.lines()
    assert sorted(line.name for line in found.lines) == ["Paint", "Work"]
    assert (await shop.deal()).amount == found.price.total == D(110)  # the discount stays with the merged deal
    await shop.do("ivan", undo_deal_merge, merge.id, now=NOON)
    assert (await shop.deal()).amount == D(10)
    assert (await shop.lines(this)).price.total == D(90)
    async with shop.database.read() as session:
        assert (await access_deal(session, await office.viewer(session, "ivan"), this)).amount == D(90)


async def test_another_pipeline_decides_about_the_amount(shop: Shop) -> None:
    other = await shop.do("admin", create_pipeline, PipelineChange(name="Renovation", amount_by_lines=True), now=NOON)
    await shop.add(name="Work", price=D(100))
    async with shop.database.read() as session:
        stage = await stage_of_kind(session, other.id, StageKind.OPEN)
    assert stage is not None
    await shop.do("ivan", move_deal, shop.deal_id, stage.id, version=None, now=NOON)
    assert (await shop.deal()).amount == D(100)


ROOM = TemplateDraft(
    "Room under the key",
    [
        AskedValue("length_m", "Length", "m", "5"),
        AskedValue("width_m", "Width", "m", "6"),
        AskedValue("height_m", "Ceiling", "m", "3"),
        AskedValue("wall", "Walls: brick or board", "", "brick"),
    ],
    [("walls", "2 * (length_m + width_m) * height_m"), ("waste", "walls * 1.1")],
    [
        TemplateLine("if(wall = 'brick', ceil(walls / 4), 0)", name="Plaster", unit="bag", price=D("245.50")),
        TemplateLine("ceil(waste / 5.3)", name="Wallpaper", unit="roll", price=D(620)),
        TemplateLine("walls", name="Work", unit="m²", price=D(380)),
    ],
)


async def test_a_room_under_the_key(shop: Shop) -> None:
    template = await shop.do("admin", save_template, None, ROOM, NOON)
    found = await shop.do("ivan", apply_template, shop.deal_id, template.id, {}, NOON)
    assert [(line.name, line.quantity) for line in found.lines] == [
        ("Plaster", D(17)),
        ("Wallpaper", D(14)),
        ("Work", D(66)),
    ]
    assert found.price.total == D("245.50") * 17 + 620 * 14 + 380 * 66
    found = await shop.do("ivan", undo_lines, shop.deal_id, NOON)
    assert found.lines == ()
    found = await shop.do("ivan", apply_template, shop.deal_id, template.id, {"wall": "board", "width_m": "4"}, NOON)
    assert [line.name for line in found.lines] == ["Wallpaper", "Work"]  # no plaster on board
    assert found.lines[1].quantity == D(54)
    line = found.lines[1]
    found = await _change(
        shop, line.id, name="Work", price=D(380), formula="walls", inputs={**line.inputs, "height_m": "2"}
    )
    assert found.lines[1].quantity == D(36)
    with pytest.raises(Invalid) as refused:
        await shop.do("ivan", apply_template, shop.deal_id, template.id, {"height_m": "high"}, NOON)
    assert refused.value.field == "inputs.length_m"
    await shop.do("admin", archive_template, template.id, NOON)
    with pytest.raises(Invalid):
        await shop.do("ivan", apply_template, shop.deal_id, template.id, {}, NOON)


async def test_a_template_with_a_retired_product_says_which(shop: Shop) -> None:
    draft = TemplateDraft("Bags", lines=[TemplateLine("3", product_id=shop.product_id)])
    template = await shop.do("admin", save_template, None, draft, NOON)
    await shop.do("admin", retire_product, shop.product_id, NOON)
    with pytest.raises(Invalid) as refused:
        await shop.do("ivan", apply_template, shop.deal_id, template.id, {}, NOON)
    assert (refused.value.field, refused.value.code) == ("template_id", "line_templates.retired")
    assert "Plaster Knauf" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"inputs": [AskedValue("2x", "X")]}, "inputs.0"),
        ({"inputs": [AskedValue("title", "X")]}, "inputs.0"),
        ({"values": [("a", "b + 1"), ("b", "a")]}, "values.0"),
        ({"values": [("a", "nothing_known")]}, "values.0"),
        ({"lines": []}, "lines"),
        ({"lines": [TemplateLine("1 +", name="Work", price=D(1))]}, "lines.0.formula"),
        ({"lines": [TemplateLine("1", product_id=999)]}, "lines.0.product_id"),
        ({"lines": [TemplateLine("1", name="Work")]}, "lines.0.price"),
    ],
)
async def test_templates_that_are_refused(shop: Shop, changes: dict[str, Any], field: str) -> None:
    lines = [TemplateLine("1", name="Work", price=D(1))]
    draft = TemplateDraft(**({"name": "Any", "lines": lines} | changes))
    with pytest.raises(Invalid) as refused:
        await shop.do("admin", save_template, None, draft, NOON)
    assert refused.value.field == field


async def test_a_sku_is_of_one_product(shop: Shop) -> None:
    with pytest.raises(Invalid) as refused:
        await shop.do("admin", add_product, ProductDraft("Other", D(1), "KN-30"), NOON, currency="UAH")
    assert refused.value.field == "sku"
    for name in ("One", "Two"):
        await shop.do("admin", add_product, ProductDraft(name, D(1)), NOON, currency="UAH")  # several have none
